import type { Contender, ContenderName } from './contender.ts';

/** Opens a contender with its worker. Each is imported only when asked for: none loads for another. */
export async function openContender(name: ContenderName): Promise<Contender> {
  switch (name) {
    case 'skein, TCP':
      return (await import('./skein.ts')).openSkein('tcp');
    case 'skein, Unix':
      return (await import('./skein.ts')).openSkein('unix');
    case 'grpc unary, TCP':
      return (await import('./grpc.ts')).openUnary('tcp');
    case 'grpc unary, Unix':
      return (await import('./grpc.ts')).openUnary('unix');
    case 'grpc stream, TCP':
      return (await import('./grpc.ts')).openStream('tcp');
    case 'grpc stream, Unix':
      return (await import('./grpc.ts')).openStream('unix');
    case 'piscina':
      return (await import('./piscina.ts')).openPiscina('tuned');
    case 'piscina, defaults':
      return (await import('./piscina.ts')).openPiscina('defaults');
    default:
      throw new Error(`unknown contender: ${name satisfies never}`);
  }
}

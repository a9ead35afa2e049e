/** What is measured: something that can add two numbers elsewhere. */
export interface Contender {
  call(): Promise<unknown>;
}

export type Socket = 'tcp' | 'unix';

export const contenderNames = [
  'skein, TCP',
  'skein, Unix',
  'grpc unary, TCP',
  'grpc unary, Unix',
  'grpc stream, TCP',
  'grpc stream, Unix',
  'piscina',
  'piscina, defaults',
] as const;

export type ContenderName = (typeof contenderNames)[number];

export function skeinOver(socket: Socket): ContenderName {
  return socket === 'tcp' ? 'skein, TCP' : 'skein, Unix';
}

export function unaryOver(socket: Socket): ContenderName {
  return socket === 'tcp' ? 'grpc unary, TCP' : 'grpc unary, Unix';
}

export function streamOver(socket: Socket): ContenderName {
  return socket === 'tcp' ? 'grpc stream, TCP' : 'grpc stream, Unix';
}

/** What runs on piscina's thread. */
export async function add({ x, y }: { readonly x: number; readonly y: number }): Promise<number> {
  return x + y;
}

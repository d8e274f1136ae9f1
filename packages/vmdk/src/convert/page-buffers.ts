const pageBytes = 65536;

/**
 * Stretches of memory of a multiple of 65536 bytes that begin at a page, as O_DIRECT asks for; Node promises that of
 * none but WebAssembly's. Where there is none they begin anywhere, and such writes are refused.
 */
export function pageBuffers(count: number, bytes: number): Buffer[] {
  let memory: ArrayBufferLike;
  try {
    const pages = Math.ceil((count * bytes) / pageBytes);
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof ReferenceError)) throw error;
    return Array.from({ length: count }, () => Buffer.allocUnsafeSlow(bytes));
  }
  return Array.from({ length: count }, (_, index) => Buffer.from(memory, index * bytes, bytes));
}

import { turnEnd } from '../runtime/event-loop-turn.ts';

/** Bytes from which a chunk goes out. */
const flushAt = 128 * 1024;
/** Room of a chunk: the last piece before a flush mostly fits as well. */
const chunkBytes = 256 * 1024;
/** Below this many characters no buffer is taken: most answers are small. */
const smallText = 16 * 1024;

/**
 * Text on its way into UTF-8 chunks. Each object becomes one string and is copied at once: long strings cost five times
 * the work.
 */
export class ChunkedText {
  #text = '';
  #chunks: Uint8Array[] = [];
  #buffer: Buffer | undefined;
  #used = 0;
  #pieces = 0;
  #sliceEnd: number;

  constructor() {
    this.#sliceEnd = turnEnd();
  }

  append(text: string): void {
    this.#text += text;
    if (this.#text.length >= smallText) this.#copy();
  }

  /** True when it is time to send the chunks, or to give way to others. */
  get full(): boolean {
    if (this.ready) return true;
    this.#pieces += 1;
    // Looking at the clock costs as much as a small element.
    return (this.#pieces & 7) === 0 && performance.now() >= this.#sliceEnd;
  }

  /** True when there is enough to be worth sending. */
  get ready(): boolean {
    return this.#chunks.length > 0 || this.#used >= flushAt;
  }

  /** What there is to send, in order. */
  take(): Uint8Array[] {
    this.#copy();
    this.#closeChunk();
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  /** A new time slice begins. */
  beginSlice(): void {
    this.#sliceEnd = turnEnd();
  }

  /** All of it, when none was taken before and it is small; otherwise undefined. */
  takeWhole(): string | undefined {
    if (this.#buffer !== undefined || this.#chunks.length > 0) return undefined;
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #copy(): void {
    const text = this.#text;
    if (text.length === 0) return;
    this.#text = '';
    const most = text.length * 3;
    if (this.#buffer !== undefined && this.#used + most > chunkBytes) this.#closeChunk();
    if (most > chunkBytes) {
      this.#closeChunk();
      this.#chunks.push(Buffer.from(text, 'utf8'));
      return;
    }
    this.#buffer ??= Buffer.allocUnsafeSlow(chunkBytes);
    this.#used += this.#buffer.write(text, this.#used, 'utf8');
  }

  #closeChunk(): void {
    if (this.#buffer !== undefined && this.#used > 0) this.#chunks.push(this.#buffer.subarray(0, this.#used));
    this.#buffer = undefined;
    this.#used = 0;
  }
}

/** Longest that frames wait, milliseconds of the rate; what comes beyond is dropped, and whoever sent it slows down. */
const longestWaitMs = 100;
/** Frames that may always wait, bytes: a guest's first burst. */
const leastQueueBytes = 64 << 10;
/** What may go at once after a silence, milliseconds of the rate. */
const burstMs = 10;
/** Of the engine's own; larger ones are no frames. */
const mostFrameBytes = (64 << 10) + 68;
const headerBytes = 4;

export interface FrameLaneOptions {
  readonly bitsPerSecond: number;
  /** Takes frames with their length before them, as the engine writes them. */
  readonly send: (frame: Buffer) => void;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** Calls back after some milliseconds, once. */
  readonly wake: (afterMs: number, run: () => void) => void;
}

/** One direction of an adapter: frames go on at a rate, in their order; those that would wait too long are dropped. */
export class FrameLane {
  readonly #options: FrameLaneOptions;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #bitsPerSecond: number;
  /** Bytes that may go now; below zero after a frame that was larger. */
  #credit: number;
  #at: number;
  #sleeping = false;
  #rest = Buffer.alloc(0);

  constructor(options: FrameLaneOptions) {
    this.#options = options;
    this.#bitsPerSecond = options.bitsPerSecond;
    this.#at = options.now();
    this.#credit = this.#burst;
  }

  set bitsPerSecond(value: number) {
    this.#earn();
    this.#bitsPerSecond = value;
    this.#credit = Math.min(this.#credit, this.#burst);
    // It may have been about to sleep for longer than it has to now.
    this.#sleeping = false;
    this.#pump();
  }

  /** Takes bytes of the engine's stream, cut anywhere. Throws where they are no frames. */
  push(bytes: Buffer): void {
    let stream = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (stream.length >= headerBytes) {
      const length = stream.readUInt32BE(0);
      if (length > mostFrameBytes) throw new RangeError(`a frame of ${length} bytes`);
      const end = headerBytes + length;
      if (stream.length < end) break;
      this.#add(stream.subarray(0, end));
      stream = stream.subarray(end);
    }
    this.#rest = Buffer.from(stream);
    this.#pump();
  }

  #add(frame: Buffer): void {
    const most = Math.max(leastQueueBytes, (this.#bitsPerSecond / 8000) * longestWaitMs);
    if (this.#queuedBytes + frame.length > most) return;
    // A part of a larger chunk would hold the whole of it.
    this.#queue.push(Buffer.from(frame));
    this.#queuedBytes += frame.length;
  }

  get #burst(): number {
    return (this.#bitsPerSecond / 8000) * burstMs;
  }

  #earn(): void {
    const now = this.#options.now();
    this.#credit = Math.min(this.#burst, this.#credit + ((now - this.#at) * this.#bitsPerSecond) / 8000);
    this.#at = now;
  }

  #pump(): void {
    this.#earn();
    let sent = 0;
    while (this.#credit > 0 && sent < this.#queue.length) {
      const frame = this.#queue[sent] as Buffer;
      sent += 1;
      this.#credit -= frame.length - headerBytes;
      this.#queuedBytes -= frame.length;
      this.#options.send(frame);
    }
    this.#queue.splice(0, sent);
    if (this.#queue.length === 0 || this.#sleeping) return;
    this.#sleeping = true;
    const wait = Math.max(1, (-this.#credit * 8000) / this.#bitsPerSecond);
    this.#options.wake(Math.ceil(wait), () => {
      this.#sleeping = false;
      this.#pump();
    });
  }
}

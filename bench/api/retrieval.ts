import { processorTime } from './process-use.ts';
import { machinePaths, machineView, retrieve, traversalFilter, viewFilter } from './requests.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';

export type Walk = 'view' | 'traversal';

export interface Retrieval {
  /** Milliseconds. */
  readonly firstByte: number;
  readonly lastByte: number;
  /** Microseconds of processor time that the server took for each machine. */
  readonly processorPerMachine: number;
  readonly bytesPerMachine: number;
}

/** A client that asks for all machines in one request. */
export class Retriever {
  readonly #subject: Subject;
  readonly #session: SoapSession;
  readonly #view: string;
  readonly #paths: readonly string[];

  private constructor(subject: Subject, session: SoapSession, view: string, paths: readonly string[]) {
    this.#subject = subject;
    this.#session = session;
    this.#view = view;
    this.#paths = paths;
  }

  static async open(subject: Subject, paths: readonly string[] = machinePaths): Promise<Retriever> {
    const session = await SoapSession.open(subject.address);
    return new Retriever(subject, session, await machineView(session), paths);
  }

  /** Throws when the answer does not have all `machines`. */
  async retrieve(walk: Walk, machines: number): Promise<Retrieval> {
    const session = this.#session;
    const paths = this.#paths;
    const filter = walk === 'view' ? viewFilter(this.#view, paths) : traversalFilter(session, paths);
    const before = processorTime(this.#subject.pid);
    const counter = new TextCounter('<objects>');
    const { firstByte, lastByte, bytes } = await session.call(retrieve(session, filter), {
      onChunk: (chunk) => counter.add(chunk),
    });
    const processor = processorTime(this.#subject.pid) - before;
    if (counter.count !== machines) {
      throw new Error(`asked for ${machines} machines by ${walk}, got ${counter.count}`);
    }
    return { firstByte, lastByte, processorPerMachine: processor / machines, bytesPerMachine: bytes / machines };
  }

  close(): void {
    this.#session.close();
  }
}

/** Counts a text in a stream, also where it crosses from one chunk into the next. */
class TextCounter {
  readonly #text: Buffer;
  #tail = Buffer.alloc(0);
  count = 0;

  constructor(text: string) {
    this.#text = Buffer.from(text);
  }

  add(chunk: Buffer): void {
    const { length } = this.#text;
    // Either half is shorter than the text: what they have together was not counted in one of them.
    if (Buffer.concat([this.#tail, chunk.subarray(0, length - 1)]).includes(this.#text)) this.count += 1;
    for (let at = chunk.indexOf(this.#text); at >= 0; at = chunk.indexOf(this.#text, at + length)) this.count += 1;
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-length + 1)]).subarray(-length + 1);
  }
}

import { VmdkError } from '../errors.ts';
import {
  allocationContext,
  handshakeFlags,
  infoTypes,
  maximumStringBytes,
  nbdMagic,
  nbdOptions,
  optionReplies,
} from './protocol.ts';
import type { Wire } from './wire.ts';

/** Longest answer to an option that is read. */
const maximumReplyBytes = 65536;
/** Most answers to one option. */
const maximumReplies = 65536;

/** What a server said of an export. */
export interface NegotiatedExport {
  readonly bytes: number;
  /** Transmission flags. */
  readonly flags: number;
  readonly description?: string;
  readonly minimumBlockBytes: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
  readonly structured: boolean;
  /** Names of the contexts that the server gives, by their numbers. */
  readonly contexts: ReadonlyMap<number, string>;
}

interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

/** The client's side of the negotiation. */
export class ClientHandshake {
  readonly #wire: Wire;
  readonly #name: string;

  constructor(wire: Wire, name: string) {
    this.#wire = wire;
    this.#name = name;
  }

  /** Greets the server. */
  async greet(): Promise<void> {
    const greeting = await this.#wire.read(18);
    if (greeting.readBigUInt64BE(0) !== nbdMagic.server) throw this.#broken('it does not greet as an NBD server does');
    if (greeting.readBigUInt64BE(8) !== nbdMagic.option) throw this.#broken('it speaks the old style only');
    const flags = greeting.readUInt16BE(16);
    if ((flags & handshakeFlags.fixedNewstyle) === 0) throw this.#broken('it does not speak the fixed newstyle');
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(handshakeFlags.fixedNewstyle | (flags & handshakeFlags.noZeroes));
    this.#noZeroes = (flags & handshakeFlags.noZeroes) !== 0;
    await this.#wire.write(answer);
  }

  #noZeroes = false;

  /** Asks for TLS. What follows is its handshake. */
  async startTls(): Promise<void> {
    const reply = await this.#ask(nbdOptions.startTls, Buffer.alloc(0));
    if (reply.type !== optionReplies.ack) throw this.#refused('TLS', reply);
    if (this.#wire.buffered > 0) throw this.#broken('it sent plain bytes after it agreed to TLS');
  }

  /** Names of the exports that the server tells. */
  async list(): Promise<string[]> {
    const names: string[] = [];
    for await (const { type, data } of this.#replies(nbdOptions.list, Buffer.alloc(0))) {
      if (type === optionReplies.ack) break;
      if (type !== optionReplies.server) throw this.#refused('the list of exports', { type, data });
      const length = data.length < 4 ? Number.POSITIVE_INFINITY : data.readUInt32BE(0);
      if (4 + length > data.length) throw this.#broken('a name in its list is longer than its answer');
      names.push(data.toString('utf8', 4, 4 + length));
    }
    return names;
  }

  /** Ends the negotiation without an export. */
  async abort(): Promise<void> {
    await this.#wire.write(optionHeader(nbdOptions.abort, 0));
  }

  /** Asks for structured replies, the contexts, and the export: what follows are requests. */
  async go(exportName: string, wanted: readonly string[]): Promise<NegotiatedExport> {
    const structuredReply = await this.#ask(nbdOptions.structuredReply, Buffer.alloc(0));
    if (structuredReply.type === optionReplies.tlsRequired) throw this.#refused('the export', structuredReply);
    const structured = structuredReply.type === optionReplies.ack;
    const contexts = structured ? await this.#setContexts(exportName, [allocationContext, ...wanted]) : new Map();
    const name = Buffer.from(exportName);
    if (name.length > maximumStringBytes) throw this.#broken(`the export's name has over ${maximumStringBytes} bytes`);
    const request = Buffer.alloc(4 + name.length + 6);
    request.writeUInt32BE(name.length);
    name.copy(request, 4);
    request.writeUInt16BE(2, 4 + name.length);
    request.writeUInt16BE(infoTypes.description, 6 + name.length);
    request.writeUInt16BE(infoTypes.blockSize, 8 + name.length);
    let size: { readonly bytes: number; readonly flags: number } | undefined;
    let blocks = { minimumBlockBytes: 1, preferredBlockBytes: 4096, maximumPayloadBytes: 32 * 2 ** 20 };
    let description: string | undefined;
    for await (const reply of this.#replies(nbdOptions.go, request)) {
      if (reply.type === optionReplies.ack) break;
      if (reply.type === optionReplies.unsupported) return this.#goByName(name, { structured, contexts, ...blocks });
      if (reply.type !== optionReplies.info || reply.data.length < 2) throw this.#refused('the export', reply);
      const info = reply.data.readUInt16BE(0);
      if (info === infoTypes.export && reply.data.length === 12) size = this.#sizeOf(reply.data.subarray(2));
      if (info === infoTypes.description) description = reply.data.toString('utf8', 2);
      if (info === infoTypes.blockSize && reply.data.length === 14) blocks = this.#blocksOf(reply.data);
    }
    if (size === undefined) throw this.#broken('it did not say how large the export is');
    return { ...size, ...blocks, structured, contexts, ...(description === undefined ? {} : { description }) };
  }

  /** The way of servers without NBD_OPT_GO. */
  async #goByName(name: Buffer, rest: Omit<NegotiatedExport, 'bytes' | 'flags'>): Promise<NegotiatedExport> {
    await this.#wire.write(optionHeader(nbdOptions.exportName, name.length), name);
    if (await this.#wire.atEnd()) {
      throw new VmdkError('nbd-refused', { file: this.#name, reason: 'the server ended the connection' });
    }
    const size = this.#sizeOf(await this.#wire.read(10));
    if (!this.#noZeroes) await this.#wire.skip(124);
    return { ...rest, ...size };
  }

  async #setContexts(exportName: string, wanted: readonly string[]): Promise<Map<number, string>> {
    const contexts = new Map<number, string>();
    const request = metaContextRequest(exportName, wanted);
    for await (const { type, data } of this.#replies(nbdOptions.setMetaContext, request)) {
      // Whatever the server has against it: without contexts all counts as data.
      if (type !== optionReplies.metaContext) break;
      if (data.length < 4) throw this.#broken('a context is without a number');
      contexts.set(data.readUInt32BE(0), data.toString('utf8', 4));
    }
    return contexts;
  }

  #sizeOf(data: Buffer): { readonly bytes: number; readonly flags: number } {
    const bytes = Number(data.readBigUInt64BE(0));
    if (!Number.isSafeInteger(bytes)) throw this.#broken(`a size of ${bytes} bytes`);
    return { bytes, flags: data.readUInt16BE(8) };
  }

  #blocksOf(data: Buffer) {
    const [minimum, preferred, maximum] = [2, 6, 10].map((at) => data.readUInt32BE(at)) as [number, number, number];
    const power = (value: number) => value > 0 && (value & (value - 1)) === 0;
    if (!power(minimum) || minimum > 65536 || !power(preferred) || preferred < minimum || maximum < minimum) {
      throw this.#broken(`block sizes of ${minimum}, ${preferred} and ${maximum}`);
    }
    return { minimumBlockBytes: minimum, preferredBlockBytes: preferred, maximumPayloadBytes: maximum };
  }

  async #ask(option: number, data: Buffer): Promise<OptionReply> {
    for await (const reply of this.#replies(option, data)) return reply;
    throw this.#broken('it gave no answer');
  }

  /** Answers to an option, up to and with the one that ends them. */
  async *#replies(option: number, data: Buffer): AsyncGenerator<OptionReply, void, undefined> {
    await this.#wire.write(optionHeader(option, data.length), data);
    for (let count = 0; count < maximumReplies; count += 1) {
      const header = await this.#wire.read(20);
      if (header.readBigUInt64BE(0) !== nbdMagic.optionReply) throw this.#broken('an answer without its magic number');
      if (header.readUInt32BE(8) !== option) throw this.#broken('an answer to an option that was not asked');
      const type = header.readUInt32BE(12);
      const length = header.readUInt32BE(16);
      if (length > maximumReplyBytes) throw this.#broken(`an answer of ${length} bytes`);
      yield { type, data: await this.#wire.read(length) };
      if (type === optionReplies.ack || type >= 2 ** 31) return;
    }
    throw this.#broken('its answer does not end');
  }

  #broken(reason: string): VmdkError {
    return new VmdkError('nbd-protocol', { file: this.#name, reason });
  }

  #refused(what: string, { type, data }: OptionReply): VmdkError {
    if (type < 2 ** 31) return this.#broken(`answer ${type} instead of ${what}`);
    const words =
      refusals.get(type) ?? `the server refuses ${what} with error ${(type - 2 ** 31).toString()} of the protocol`;
    const said = data
      .toString('utf8')
      .replace(/[\x00-\x1f\x7f]/g, ' ')
      .slice(0, 300);
    return new VmdkError('nbd-refused', { file: this.#name, reason: said === '' ? words : `${words} (${said})` });
  }
}

const refusals: ReadonlyMap<number, string> = new Map([
  [optionReplies.unsupported, 'the server does not support it'],
  [optionReplies.policy, "it is against the server's policy"],
  [optionReplies.invalid, 'the server finds the request invalid'],
  [optionReplies.tlsRequired, 'the server demands TLS'],
  [optionReplies.unknown, 'the server has no such export'],
  [optionReplies.shutdown, 'the server is shutting down'],
]);

function optionHeader(option: number, length: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(nbdMagic.option);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(length, 12);
  return header;
}

function metaContextRequest(exportName: string, queries: readonly string[]): Buffer {
  const parts = [sized(exportName), Buffer.alloc(4)];
  (parts[1] as Buffer).writeUInt32BE(queries.length);
  return Buffer.concat([...parts, ...queries.map(sized)]);
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

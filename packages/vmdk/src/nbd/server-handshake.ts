import { VmdkError } from '../errors.ts';
import { contextsOf, type ExportContext, flagsOf, type NbdExport, type NbdExports } from './nbd-export.ts';
import {
  handshakeFlags,
  infoTypes,
  maximumRequestBytes,
  maximumStringBytes,
  nbdMagic,
  nbdOptions,
  optionReplies,
} from './protocol.ts';
import type { Wire } from './wire.ts';

/** Longest option that is read; a longer one is passed over up to the second number, and ends the connection beyond. */
const maximumOptionBytes = 65536;
const maximumPassedBytes = 2 ** 20;
/** Most options of one negotiation. */
const maximumOptions = 256;
const maximumQueries = 64;

export interface ServerHandshakeOptions {
  readonly exports: NbdExports;
  /** `offered` must be taken before anything else is answered; `running`: all is encrypted. */
  readonly tls: 'none' | 'offered' | 'running';
  /** The connection in words, for errors. */
  readonly name: string;
}

/** What a client chose. */
export interface Chosen {
  readonly exported: NbdExport;
  readonly structured: boolean;
  readonly contexts: readonly ExportContext[];
}

/** The server's side of the negotiation. */
export class ServerHandshake {
  readonly #wire: Wire;
  readonly #options: ServerHandshakeOptions;
  #structured = false;
  #noZeroes = false;
  /** What SET_META_CONTEXT chose, for the export that it named. */
  #selected: { readonly exportName: string; readonly contexts: readonly ExportContext[] } | undefined;

  constructor(wire: Wire, options: ServerHandshakeOptions) {
    this.#wire = wire;
    this.#options = options;
  }

  /** Greets, and hears how the client wants to speak. */
  async greet(): Promise<void> {
    const greeting = Buffer.alloc(18);
    greeting.writeBigUInt64BE(nbdMagic.server);
    greeting.writeBigUInt64BE(nbdMagic.option, 8);
    greeting.writeUInt16BE(handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes, 16);
    await this.#wire.write(greeting);
    const flags = (await this.#wire.read(4)).readUInt32BE(0);
    if ((flags & handshakeFlags.fixedNewstyle) === 0 || flags > 3) throw this.#broken(`client flags ${flags}`);
    this.#noZeroes = (flags & handshakeFlags.noZeroes) !== 0;
  }

  /** The negotiation from its beginning, on the encrypted connection. What was chosen before does not count. */
  continueOn(wire: Wire): ServerHandshake {
    const handshake = new ServerHandshake(wire, { ...this.#options, tls: 'running' });
    handshake.#noZeroes = this.#noZeroes;
    return handshake;
  }

  /** Answers options until the client has chosen, asks for TLS, or leaves (undefined). */
  async negotiate(): Promise<Chosen | 'tls' | undefined> {
    for (let count = 0; count < maximumOptions; count += 1) {
      const header = await this.#wire.read(16);
      if (header.readBigUInt64BE(0) !== nbdMagic.option) throw this.#broken('an option without its magic number');
      const option = header.readUInt32BE(8);
      const length = header.readUInt32BE(12);
      if (length > maximumPassedBytes) throw this.#broken(`an option of ${length} bytes`);
      if (length > maximumOptionBytes) {
        await this.#wire.skip(length);
        await this.#reply(option, optionReplies.tooBig, 'That is too long.');
        continue;
      }
      const outcome = await this.#answer(option, await this.#wire.read(length));
      if (outcome === 'left') return undefined;
      if (outcome !== undefined) return outcome;
    }
    throw this.#broken('its negotiation does not end');
  }

  async #answer(option: number, data: Buffer): Promise<Chosen | 'tls' | 'left' | undefined> {
    if (option === nbdOptions.abort) {
      await this.#reply(option, optionReplies.ack);
      return 'left';
    }
    if (option === nbdOptions.startTls) return this.#startTls(data);
    if (this.#options.tls === 'offered') {
      if (option === nbdOptions.exportName) throw this.#broken('it chose an export before TLS');
      return this.#reply(option, optionReplies.tlsRequired, 'This server speaks with TLS only.');
    }
    switch (option) {
      case nbdOptions.exportName:
        return this.#exportName(data);
      case nbdOptions.list:
        return this.#list(data);
      case nbdOptions.structuredReply:
        if (data.length > 0) return this.#invalid(option);
        this.#structured = true;
        return this.#reply(option, optionReplies.ack);
      case nbdOptions.info:
      case nbdOptions.go:
        return this.#info(option, data);
      case nbdOptions.listMetaContext:
      case nbdOptions.setMetaContext:
        return this.#metaContext(option, data);
      default:
        return this.#reply(option, optionReplies.unsupported, 'This server has no such option.');
    }
  }

  async #startTls(data: Buffer): Promise<'tls' | undefined> {
    const option = nbdOptions.startTls;
    if (data.length > 0 || this.#options.tls === 'running') return this.#invalid(option);
    if (this.#options.tls === 'none') {
      return this.#reply(option, optionReplies.policy, 'This server has no TLS.');
    }
    // Plain bytes that came with it would be taken for encrypted ones.
    if (this.#wire.buffered > 0) throw this.#broken('it sent plain bytes after it asked for TLS');
    await this.#reply(option, optionReplies.ack);
    return 'tls';
  }

  async #list(data: Buffer): Promise<undefined> {
    if (data.length > 0) return this.#invalid(nbdOptions.list);
    for (const exportName of this.#options.exports.list?.() ?? []) {
      await this.#reply(nbdOptions.list, optionReplies.server, sized(exportName));
    }
    return this.#reply(nbdOptions.list, optionReplies.ack);
  }

  async #exportName(data: Buffer): Promise<Chosen> {
    const exportName = textOf(data);
    const exported = exportName === undefined ? undefined : await this.#options.exports.find(exportName);
    // There is no other way to say no.
    if (exportName === undefined || exported === undefined) throw this.#broken('it chose an export that is not there');
    const answer = Buffer.alloc(this.#noZeroes ? 10 : 134);
    writeSize(answer, exported, this.#structured);
    await this.#wire.write(answer);
    return this.#chosen(exportName, exported);
  }

  async #info(option: number, data: Buffer): Promise<Chosen | undefined> {
    const fields = new Fields(data);
    const exportName = fields.text();
    const wanted = fields.numbers16();
    if (exportName === undefined || wanted === undefined || !fields.atEnd) return this.#invalid(option);
    const exported = await this.#options.exports.find(exportName);
    if (exported === undefined) return this.#unknown(option);
    const size = Buffer.alloc(12);
    writeSize(size.subarray(2), exported, this.#structured);
    await this.#reply(option, optionReplies.info, size);
    if (wanted.includes(infoTypes.name)) {
      await this.#reply(option, optionReplies.info, infoText(infoTypes.name, exportName));
    }
    if (wanted.includes(infoTypes.description) && exported.description !== undefined) {
      await this.#reply(option, optionReplies.info, infoText(infoTypes.description, exported.description));
    }
    await this.#reply(option, optionReplies.info, blockSizes(exported));
    await this.#reply(option, optionReplies.ack);
    return option === nbdOptions.go ? this.#chosen(exportName, exported) : undefined;
  }

  async #metaContext(option: number, data: Buffer): Promise<undefined> {
    const fields = new Fields(data);
    const exportName = fields.text();
    const queries = fields.texts(maximumQueries);
    const setting = option === nbdOptions.setMetaContext;
    if (setting) this.#selected = undefined;
    if (exportName === undefined || queries === undefined || !fields.atEnd) return this.#invalid(option);
    if (setting && !this.#structured) return this.#invalid(option);
    const exported = await this.#options.exports.find(exportName);
    if (exported === undefined) return this.#unknown(option);
    const all = contextsOf(exported);
    const contexts = setting
      ? all.filter(({ name }) => queries.includes(name))
      : all.filter(({ name }) => queries.length === 0 || queries.some((query) => listed(name, query)));
    for (const { number, name } of contexts) {
      const reply = Buffer.alloc(4);
      if (setting) reply.writeUInt32BE(number);
      await this.#reply(option, optionReplies.metaContext, Buffer.concat([reply, Buffer.from(name)]));
    }
    if (setting) this.#selected = { exportName, contexts };
    return this.#reply(option, optionReplies.ack);
  }

  #chosen(exportName: string, exported: NbdExport): Chosen {
    const contexts = this.#selected?.exportName === exportName ? this.#selected.contexts : [];
    return { exported, structured: this.#structured, contexts };
  }

  #invalid(option: number): Promise<undefined> {
    return this.#reply(option, optionReplies.invalid, 'That option is malformed, or comes at the wrong time.');
  }

  #unknown(option: number): Promise<undefined> {
    return this.#reply(option, optionReplies.unknown, 'There is no such export.');
  }

  async #reply(option: number, type: number, data: Uint8Array | string = ''): Promise<undefined> {
    const payload = typeof data === 'string' ? Buffer.from(data) : data;
    const header = Buffer.alloc(20);
    header.writeBigUInt64BE(nbdMagic.optionReply);
    header.writeUInt32BE(option, 8);
    header.writeUInt32BE(type, 12);
    header.writeUInt32BE(payload.length, 16);
    await this.#wire.write(header, payload);
  }

  #broken(reason: string): VmdkError {
    return new VmdkError('nbd-protocol', { file: this.#options.name, reason });
  }
}

/** Whether a query of LIST_META_CONTEXT means a context: by name, or by what it begins with up to a colon. */
function listed(name: string, query: string): boolean {
  return name === query || (query.endsWith(':') && name.startsWith(query));
}

function writeSize(target: Buffer, exported: NbdExport, structured: boolean): void {
  target.writeBigUInt64BE(BigInt(exported.disk.virtualBytes));
  target.writeUInt16BE(flagsOf(exported, structured), 8);
}

function blockSizes({ disk }: NbdExport): Buffer {
  const preferred = 2 ** Math.round(Math.log2(Math.min(Math.max(disk.blockBytes, 4096), 2 ** 20)));
  const reply = Buffer.alloc(14);
  reply.writeUInt16BE(infoTypes.blockSize);
  reply.writeUInt32BE(1, 2);
  reply.writeUInt32BE(preferred, 6);
  reply.writeUInt32BE(maximumRequestBytes, 10);
  return reply;
}

function infoText(type: number, text: string): Buffer {
  const reply = Buffer.alloc(2);
  reply.writeUInt16BE(type);
  return Buffer.concat([reply, Buffer.from(text).subarray(0, maximumStringBytes)]);
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function textOf(bytes: Buffer): string | undefined {
  if (bytes.length > maximumStringBytes) return undefined;
  const text = bytes.toString('utf8');
  return text.includes('\0') || text.includes('\ufffd') ? undefined : text;
}

/** Takes an option's data apart; undefined where it is not as it should be. */
class Fields {
  readonly #data: Buffer;
  #at = 0;
  #sound = true;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get atEnd(): boolean {
    return this.#sound && this.#at === this.#data.length;
  }

  text(): string | undefined {
    const bytes = this.#bytes(this.#number(4));
    return bytes === undefined ? undefined : textOf(bytes);
  }

  texts(most: number): readonly string[] | undefined {
    const count = this.#number(4);
    if (count === undefined || count > most) return undefined;
    const texts: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const text = this.text();
      if (text === undefined) return undefined;
      texts.push(text);
    }
    return texts;
  }

  numbers16(): readonly number[] | undefined {
    const count = this.#number(2);
    const bytes = this.#bytes(count === undefined ? undefined : 2 * count);
    return bytes && Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(2 * index));
  }

  #number(size: number): number | undefined {
    return this.#bytes(size)?.readUIntBE(0, size);
  }

  #bytes(length: number | undefined): Buffer | undefined {
    if (length === undefined || this.#at + length > this.#data.length) {
      this.#sound = false;
      return undefined;
    }
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }
}

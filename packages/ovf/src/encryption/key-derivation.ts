import { createDecipheriv, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { OvfError, type OvfLocation } from '../errors.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';
import { keyWraps, pbkdf2Names, pseudorandomFunctions, xmlSignatureNamespace } from './algorithms.ts';
import { algorithmOf, descendants, fromBase64, only } from './encryption-elements.ts';

const derive = promisify(pbkdf2);

/** Bounds of what a package may ask for: a derivation of the most takes some seconds, off the event loop. */
const maxIterations = 10_000_000;
const maxSaltBytes = 1024;
/** Key derivations of one package. */
const maxDerivations = 64;
const wrapVector = Buffer.from('A6A6A6A6A6A6A6A6', 'hex');

/** How a passphrase becomes a key (XML Encryption 1.1, 5.4.2). */
interface Derivation {
  readonly salt: Buffer;
  readonly iterations: number;
  /** Of the key; that of the cipher where it is not said. */
  readonly keyBytes: number | undefined;
  readonly digest: string;
}

/** A key, and whether it is known to be the right one. */
export interface FoundKey {
  readonly key: Buffer;
  readonly proven: boolean;
}

/**
 * Keys of a package by its passphrase. Throws `encrypted` for what is not understood, by its name; `passphrase-wrong` where
 * that can be told from the key alone.
 */
export class PassphraseKeys {
  readonly #passphrase: Uint8Array;
  readonly #file: string | undefined;
  readonly #derived = new Map<string, Promise<Buffer>>();

  constructor(passphrase: Uint8Array, file: string | undefined) {
    this.#passphrase = passphrase;
    this.#file = file;
  }

  /** The key that a DerivedKey or EncryptedKey stands for, of a length; `others` are those that a name may refer to. */
  async keyOf(element: XmlElement, keyBytes: number, others: readonly XmlElement[] = []): Promise<FoundKey> {
    if (element.name === 'DerivedKey') return { key: await this.#derive(element, keyBytes), proven: false };
    const algorithm = algorithmOf(only(element, 'EncryptionMethod'));
    const wrap = keyWraps.find(({ uri }) => uri === algorithm);
    if (wrap === undefined)
      this.#refuse(
        element,
        `the key of the package is encrypted by "${algorithm ?? 'nothing'}", and not by a passphrase`,
      );
    const derived = this.#wrappingKey(element, others);
    const value = descendants(element, 'CipherValue').find((one) => !isWithin(only(element, 'KeyInfo'), one));
    const wrapped = fromBase64(value === undefined ? '' : textOf(value), 4096);
    if (wrapped?.length !== keyBytes + 8)
      this.#refuse(element, 'the encrypted key of the package is not as long as its cipher needs');
    const wrapping = await this.#derive(derived, wrap.keyBytes);
    try {
      const unwrapping = createDecipheriv(wrap.nodeName, wrapping, wrapVector);
      return { key: Buffer.concat([unwrapping.update(wrapped), unwrapping.final()]), proven: true };
    } catch (cause) {
      throw new OvfError('passphrase-wrong', 'the passphrase is not that of this package', this.#at(element), {
        cause,
      });
    }
  }

  /** The DerivedKey that an EncryptedKey is wrapped by: in its KeyInfo, or named there. */
  #wrappingKey(element: XmlElement, others: readonly XmlElement[]): XmlElement {
    const info = only(element, 'KeyInfo');
    const inner = info && descendants(info, 'DerivedKey')[0];
    if (inner !== undefined) return inner;
    const names = (
      info === undefined ? [] : ['KeyName', 'DerivedKeyName'].flatMap((name) => descendants(info, name))
    ).map((one) => textOf(one).trim());
    const named = others.find(
      (other) => other.name === 'DerivedKey' && names.includes(textOf(only(other, 'DerivedKeyName') ?? other).trim()),
    );
    return named ?? this.#refuse(element, 'the key of the package is not encrypted by a passphrase');
  }

  #derive(element: XmlElement, keyBytes: number): Promise<Buffer> {
    const { salt, iterations, digest, ...said } = this.#derivation(element);
    if (said.keyBytes !== undefined && said.keyBytes !== keyBytes)
      this.#refuse(element, `the key has ${said.keyBytes} bytes, and its cipher takes ${keyBytes}`);
    const id = [salt.toString('hex'), iterations, digest, keyBytes].join(' ');
    const known = this.#derived.get(id);
    if (known !== undefined) return known;
    if (this.#derived.size >= maxDerivations)
      this.#refuse(element, `there are more than ${maxDerivations} keys to derive`);
    const key = derive(this.#passphrase, salt, iterations, keyBytes, digest);
    this.#derived.set(id, key);
    return key;
  }

  #derivation(element: XmlElement): Derivation {
    const method = only(element, 'KeyDerivationMethod');
    const name = algorithmOf(method);
    if (name === undefined || !pbkdf2Names.has(name))
      this.#refuse(element, `the key derivation "${name ?? ''}" is not known, only PBKDF2`);
    // The example in the text of OVF has the parameters beside the method, XML Encryption in it.
    const [parameters] = descendants(element, 'PBKDF2-params');
    if (parameters === undefined) this.#refuse(element, 'the key derivation has no PBKDF2-params');
    const numberOf = (what: string): number | undefined => {
      const child = only(parameters, what);
      if (child === undefined) return undefined;
      const text = textOf(child).trim();
      return /^\d{1,15}$/.test(text) ? Number(text) : this.#refuse(parameters, `${what} is no number`);
    };
    const specified = descendants(parameters, 'Specified')[0];
    const salt = specified === undefined ? undefined : fromBase64(textOf(specified), maxSaltBytes);
    if (salt === undefined)
      this.#refuse(parameters, `the salt is not there in base64, with at most ${maxSaltBytes} bytes`);
    const iterations = numberOf('IterationCount') ?? 0;
    if (iterations < 1 || iterations > maxIterations)
      this.#refuse(parameters, `${iterations} iterations are none that are followed: 1 to ${maxIterations}`);
    const keyBytes = numberOf('KeyLength');
    const prf = algorithmOf(only(parameters, 'PRF')) ?? `${xmlSignatureNamespace}hmac-sha1`;
    const digest = pseudorandomFunctions.get(prf);
    if (digest === undefined) this.#refuse(parameters, `the pseudorandom function "${prf}" is not known`);
    return { salt, iterations, keyBytes, digest };
  }

  #at(element: XmlElement): OvfLocation {
    return { file: this.#file, line: element.line, section: 'EncryptionSection' };
  }

  #refuse(element: XmlElement, detail: string): never {
    throw new OvfError('encrypted', detail, this.#at(element));
  }
}

function isWithin(outer: XmlElement | undefined, element: XmlElement): boolean {
  return outer !== undefined && childElements(outer).some((child) => child === element || isWithin(child, element));
}

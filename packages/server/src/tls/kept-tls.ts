import type { Home } from '../home/home.ts';
import { loadTlsMaterial, type TlsMaterial } from './tls-material.ts';

const day = 86_400_000;

/** The server's certificate, made anew before it ends, in a server that runs for a year. */
export class KeptTls {
  #material: TlsMaterial;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #timer: NodeJS.Timeout;

  private constructor(material: TlsMaterial, renew: () => Promise<TlsMaterial>, onError: (error: unknown) => void) {
    this.#material = material;
    this.#timer = setInterval(() => {
      renew().then((renewed) => {
        this.#material = renewed;
        for (const listener of this.#listeners) listener(renewed);
      }, onError);
    }, day).unref();
  }

  static async open(home: Home, names: readonly string[], onError: (error: unknown) => void): Promise<KeptTls> {
    const load = () => loadTlsMaterial(home, names);
    return new KeptTls(await load(), load, onError);
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  onRenewed(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

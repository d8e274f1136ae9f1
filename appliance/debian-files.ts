import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Files of Debian packages: those of the system when the package is installed, else of the package downloaded with
 * `apt-get download` and unpacked into a folder. Nothing is installed, no rights are needed, no service starts.
 */
export class DebianFiles {
  readonly #folder: string;
  readonly #log: (line: string) => void;
  /** Given to apt: where its lists are, once they are ours. */
  #options: readonly string[] = [];
  #updated: Promise<void> | undefined;
  readonly #roots = new Map<string, Promise<string>>();

  constructor(folder: string, log: (line: string) => void) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Folder under which the files of a package lie as they would under `/`. Rejects naming the package. */
  rootOf(name: string): Promise<string> {
    let root = this.#roots.get(name);
    if (root === undefined) {
      root = this.#find(name);
      this.#roots.set(name, root);
    }
    return root;
  }

  /** Path of one file of a package. */
  async path(name: string, file: string): Promise<string> {
    return join(await this.rootOf(name), file);
  }

  /** Names of the packages that a package depends on, one step away; the first choice of each alternative. */
  async dependenciesOf(name: string): Promise<string[]> {
    const { stdout } = await this.#fresh(() => this.#apt('apt-cache', ['depends', '--important', name]));
    return [...stdout.matchAll(/^ +(?:Pre)?Depends: (\S+)$/gm)].flatMap(([, each]) => each ?? []);
  }

  async #find(name: string): Promise<string> {
    if (await isInstalled(name)) return '/';
    return await this.#fresh(() => this.#download(name)).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`the Debian package ${name} is not installed and cannot be downloaded: ${reason}`);
    });
  }

  async #download(name: string): Promise<string> {
    const version = await this.#candidateOf(name);
    const root = join(this.#folder, `${name}_${version.replaceAll(/[^\w.+~-]/g, '_')}`);
    if (existsSync(root)) return root;
    this.#log(`downloading the Debian package ${name} ${version}`);
    await mkdir(this.#folder, { recursive: true });
    const scratch = await mkdtemp(join(this.#folder, 'unpacking-'));
    try {
      await this.#apt('apt-get', ['download', '-q', name], scratch);
      const [archive] = (await readdir(scratch)).filter((file) => file.endsWith('.deb'));
      if (archive === undefined) throw new Error('apt-get download left no file');
      await run('dpkg-deb', ['-x', archive, 'root'], { cwd: scratch });
      await rename(join(scratch, 'root'), root).catch((error: unknown) => {
        // Another build was faster.
        if (!existsSync(root)) throw error;
      });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    return root;
  }

  async #candidateOf(name: string): Promise<string> {
    const { stdout } = await this.#apt('apt-cache', ['policy', name]);
    const version = /^ +Candidate: (\S+)$/m.exec(stdout)?.[1];
    if (version === undefined || version === '(none)') throw new Error(`apt knows no package ${name}`);
    return version;
  }

  /** Does it, and once more with package lists of its own when those of the system are missing or out of date. */
  async #fresh<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.#updated === undefined) this.#updated = this.#update();
      await this.#updated.catch(() => {
        throw error;
      });
      return await work();
    }
  }

  async #update(): Promise<void> {
    const lists = join(this.#folder, 'lists');
    const cache = join(this.#folder, 'apt');
    for (const folder of [lists, cache]) await mkdir(join(folder, 'partial'), { recursive: true });
    this.#log('fetching the package lists of Debian');
    const options = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${cache}`];
    await run('apt-get', [...options, '-q', 'update']);
    this.#options = options;
  }

  #apt(command: 'apt-get' | 'apt-cache', args: readonly string[], folder?: string): Promise<{ stdout: string }> {
    return run(command, [...this.#options, ...args], folder === undefined ? {} : { cwd: folder });
  }
}

async function isInstalled(name: string): Promise<boolean> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a field in the syntax of dpkg-query
  const answer = await run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name]).catch(() => undefined);
  return answer?.stdout === 'installed';
}

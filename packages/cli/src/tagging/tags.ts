import type { Automation } from '../connection/automation.ts';
import { CliError } from '../errors.ts';

export interface Category {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly cardinality: 'SINGLE' | 'MULTIPLE';
  readonly associable_types: readonly string[];
}

export interface Tag {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly category_id: string;
}

export interface TaggedObject {
  readonly id: string;
  readonly type: string;
}

const root = '/cis/tagging';
/** How many are asked for at once. */
const breadth = 8;

/** The tags of a center. */
export class Tags {
  readonly #api: Automation;

  constructor(api: Automation) {
    this.#api = api;
  }

  async categories(): Promise<Category[]> {
    const ids = await this.#api.get<string[]>(`${root}/category`);
    return byName(await each(ids, (id) => this.#api.get<Category>(`${root}/category/${encodeURIComponent(id)}`)));
  }

  async tags(): Promise<Tag[]> {
    const ids = await this.#api.get<string[]>(`${root}/tag`);
    return byName(await each(ids, (id) => this.#tag(id)));
  }

  /** By name or id. Throws `not-found`. */
  async category(text: string): Promise<Category> {
    const found = (await this.categories()).find(({ name, id }) => name === text || id === text);
    if (found !== undefined) return found;
    throw new CliError('not-found', `There is no category '${text}'.`, { next: "'hypo tag category ls' lists them." });
  }

  /** By `name`, `category:name` or id. Throws `not-found`, and `failed` where several have the name. */
  async tag(text: string): Promise<Tag> {
    const [tags, categories] = [await this.tags(), await this.categories()];
    const categoryOf = ({ category_id }: Tag) => categories.find(({ id }) => id === category_id)?.name ?? '?';
    const found = tags.filter((tag) => [tag.id, tag.name, `${categoryOf(tag)}:${tag.name}`].includes(text));
    const [only] = found;
    if (only === undefined) {
      throw new CliError('not-found', `There is no tag '${text}'.`, { next: "'hypo tag ls' lists them." });
    }
    if (found.length > 1) {
      throw new CliError('failed', `'${text}' may be any of ${found.length}.`, {
        next: `Say which: ${found.map((tag) => `${categoryOf(tag)}:${tag.name}`).join(', ')}.`,
      });
    }
    return only;
  }

  createCategory(spec: Omit<Category, 'id'>): Promise<string> {
    return this.#api.post(`${root}/category`, spec);
  }

  deleteCategory({ id }: Category): Promise<void> {
    return this.#api.delete(`${root}/category/${encodeURIComponent(id)}`);
  }

  createTag(spec: Omit<Tag, 'id'>): Promise<string> {
    return this.#api.post(`${root}/tag`, spec);
  }

  deleteTag({ id }: Tag): Promise<void> {
    return this.#api.delete(`${root}/tag/${encodeURIComponent(id)}`);
  }

  attach({ id }: Tag, object: TaggedObject): Promise<void> {
    return this.#api.post(`${root}/tag-association/${encodeURIComponent(id)}?action=attach`, { object_id: object });
  }

  detach({ id }: Tag, object: TaggedObject): Promise<void> {
    return this.#api.post(`${root}/tag-association/${encodeURIComponent(id)}?action=detach`, { object_id: object });
  }

  objectsOf({ id }: Tag): Promise<TaggedObject[]> {
    return this.#api.post(`${root}/tag-association/${encodeURIComponent(id)}?action=list-attached-objects`);
  }

  async tagsOf(object: TaggedObject): Promise<Tag[]> {
    const ids = await this.#api.post<string[]>(`${root}/tag-association?action=list-attached-tags`, {
      object_id: object,
    });
    return byName(await each(ids, (id) => this.#tag(id)));
  }

  #tag(id: string): Promise<Tag> {
    return this.#api.get(`${root}/tag/${encodeURIComponent(id)}`);
  }
}

function byName<T extends { readonly name: string }>(all: T[]): T[] {
  return all.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

async function each<T>(ids: readonly string[], ask: (id: string) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let at = 0; at < ids.length; at += breadth) {
    all.push(...(await Promise.all(ids.slice(at, at + breadth).map(ask))));
  }
  return all;
}

import { randomUUID } from 'node:crypto';
import { type ManagedObject, type Persistence, type Registry, Turns } from '@hypostyle/vim';
import { AutomationError, invalidArgument, notFound } from '../errors.ts';
import { type Category, type ObjectId, type Tag, TagRecords } from './tag-records.ts';

export interface TagServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly onDefect?: (where: string, error: unknown) => void;
}

export type CategoryChange = Partial<Omit<Category, 'id' | 'used_by'>>;
export type TagChange = Partial<Pick<Tag, 'name' | 'description'>>;

/** Most that are kept: a bound, far above what centers have. */
const limits = { categories: 10_000, tags: 100_000, tagsOfObject: 1_000, users: 1_000 } as const;

/**
 * Tags and categories, and the rules between them. Changes go one at a time; what an object has goes with it, when the
 * registry loses the object.
 */
export class TagService {
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #onDefect: (where: string, error: unknown) => void;
  readonly #stop: () => void;
  #opened: Promise<TagRecords> | undefined;
  readonly #turns = new Turns();

  constructor({ registry, persistence, onDefect = () => {} }: TagServiceOptions) {
    this.#registry = registry;
    this.#persistence = persistence;
    this.#onDefect = onDefect;
    const cursor = registry.follow();
    const stopListening = registry.onCommit((version) => {
      const gone: string[] = [];
      for (const object of registry.changedSince(cursor.version)) {
        if (object.removed && object.owner === undefined) gone.push(object.ref.value);
      }
      cursor.advance(version);
      if (gone.length > 0) this.#forget(gone);
    });
    this.#stop = () => {
      stopListening();
      cursor.close();
    };
  }

  records(): Promise<TagRecords> {
    this.#opened ??= TagRecords.open(this.#persistence).catch((error: unknown) => {
      // The next request tries again.
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async category(id: string): Promise<Category> {
    return categoryOf(await this.records(), id);
  }

  async tag(id: string): Promise<Tag> {
    return tagOf(await this.records(), id);
  }

  createCategory(spec: Omit<Category, 'id' | 'used_by'>): Promise<string> {
    return this.#change(async (records) => {
      checkFree(records.categories.values(), spec.name, undefined);
      checkLimit(records.categories.size, limits.categories);
      const id = `urn:vmomi:InventoryServiceCategory:${randomUUID()}:GLOBAL`;
      await records.putCategory({ ...spec, id, used_by: [] });
      return id;
    });
  }

  /** A category only grows: from one tag an object to several, and by types. */
  updateCategory(id: string, change: CategoryChange): Promise<void> {
    return this.#change(async (records) => {
      const category = categoryOf(records, id);
      if (change.name !== undefined) checkFree(records.categories.values(), change.name, id);
      if (category.cardinality === 'MULTIPLE' && change.cardinality === 'SINGLE') {
        throw invalidArgument('The cardinality of a category cannot become SINGLE again.');
      }
      const types = change.associable_types;
      if (types !== undefined && types.length > 0) {
        const lost = category.associable_types.find((type) => !types.includes(type));
        if (lost !== undefined) throw invalidArgument(`The type ${lost} cannot be taken from a category.`);
        if (category.associable_types.length === 0) throw invalidArgument('The category is for all types already.');
      }
      await records.putCategory({ ...category, ...change });
    });
  }

  deleteCategory(id: string): Promise<void> {
    return this.#change(async (records) => {
      categoryOf(records, id);
      await records.deleteCategory(id);
    });
  }

  createTag(spec: Omit<Tag, 'id' | 'used_by'>): Promise<string> {
    return this.#change(async (records) => {
      categoryOf(records, spec.category_id);
      checkFree(tagsIn(records, spec.category_id), spec.name, undefined);
      checkLimit(records.tags.size, limits.tags);
      const id = `urn:vmomi:InventoryServiceTag:${randomUUID()}:GLOBAL`;
      await records.putTag({ ...spec, id, used_by: [] });
      return id;
    });
  }

  updateTag(id: string, change: TagChange): Promise<void> {
    return this.#change(async (records) => {
      const tag = tagOf(records, id);
      if (change.name !== undefined) checkFree(tagsIn(records, tag.category_id), change.name, id);
      await records.putTag({ ...tag, ...change });
    });
  }

  deleteTag(id: string): Promise<void> {
    return this.#change(async (records) => {
      tagOf(records, id);
      await records.deleteTag(id);
    });
  }

  /** Says that an entity uses a category or tag, or no longer does. */
  use(kind: 'category' | 'tag', id: string, entity: string, uses: boolean): Promise<void> {
    return this.#change(async (records) => {
      const next = (used: readonly string[]) => {
        const others = used.filter((each) => each !== entity);
        if (uses) checkLimit(others.length, limits.users);
        return uses ? [...others, entity] : others;
      };
      if (kind === 'category') {
        const category = categoryOf(records, id);
        await records.putCategory({ ...category, used_by: next(category.used_by) });
      } else {
        const tag = tagOf(records, id);
        await records.putTag({ ...tag, used_by: next(tag.used_by) });
      }
    });
  }

  /** Attaches a tag. Fails with `not_found`, and `invalid_argument` where its category is not for the object. */
  attach(tagId: string, object: ManagedObject): Promise<void> {
    return this.#change(async (records) => {
      checkAttachable(records, this.#registry, tagId, object);
      await records.attach([[tagId, objectIdOf(object)]]);
    });
  }

  detach(tagId: string, object: ManagedObject): Promise<void> {
    return this.#change(async (records) => {
      tagOf(records, tagId);
      await records.detach([[tagId, object.ref.value]]);
    });
  }

  /** Stops following the registry, once what was begun is written. */
  async close(): Promise<void> {
    this.#stop();
    await this.#turns.over();
  }

  #forget(gone: readonly string[]): void {
    this.#change(async (records) => {
      await records.detach(gone.flatMap((id) => records.tagsOf(id).map((tag) => [tag, id] as const)));
    }).catch((error: unknown) => this.#onDefect('tags of removed objects', error));
  }

  #change<R>(work: (records: TagRecords) => Promise<R>): Promise<R> {
    return this.#turns.take(async () => work(await this.records()));
  }
}

export function objectIdOf({ ref }: ManagedObject): ObjectId {
  return { id: ref.value, type: ref.type };
}

function categoryOf(records: TagRecords, id: string): Category {
  const category = records.categories.get(id);
  if (category === undefined) throw notFound('Category', id);
  return category;
}

function tagOf(records: TagRecords, id: string): Tag {
  const tag = records.tags.get(id);
  if (tag === undefined) throw notFound('Tag', id);
  return tag;
}

function* tagsIn(records: TagRecords, categoryId: string): Generator<Tag> {
  for (const tag of records.tags.values()) if (tag.category_id === categoryId) yield tag;
}

function checkFree(taken: Iterable<Tag | Category>, name: string, except: string | undefined): void {
  for (const each of taken) {
    if (each.name === name && each.id !== except) {
      throw new AutomationError('already_exists', `The name ${name.slice(0, 200)} exists already.`);
    }
  }
}

function checkLimit(count: number, limit: number): void {
  if (count >= limit) throw new AutomationError('unable_to_allocate_resource', `There are ${limit} already.`);
}

function checkAttachable(records: TagRecords, registry: Registry, tagId: string, object: ManagedObject): void {
  const tag = tagOf(records, tagId);
  const category = categoryOf(records, tag.category_id);
  const types = category.associable_types.map((type) => type.replace(/^urn:vim25:/, ''));
  if (types.length > 0 && !types.some((type) => registry.schema.isSubtype(object.ref.type, type))) {
    throw invalidArgument(`The tag ${tag.name} is not for objects of type ${object.ref.type}.`);
  }
  const there = records.tagsOf(object.ref.value);
  if (there.includes(tagId)) return;
  if (category.cardinality === 'SINGLE' && there.some((id) => records.tags.get(id)?.category_id === category.id)) {
    throw invalidArgument(`The object has a tag of the category ${category.name} already.`);
  }
  checkLimit(there.length, limits.tagsOfObject);
}

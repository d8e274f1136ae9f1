import type { Persistence, PersistenceWrite } from '@hypostyle/vim';

export interface Category {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly cardinality: 'SINGLE' | 'MULTIPLE';
  /** Names of managed types; none is all. */
  readonly associable_types: readonly string[];
  readonly used_by: readonly string[];
}

export interface Tag {
  readonly id: string;
  readonly category_id: string;
  readonly name: string;
  readonly description: string;
  readonly used_by: readonly string[];
}

/** A managed object, as this interface names it. */
export interface ObjectId {
  readonly id: string;
  readonly type: string;
}

interface Association {
  readonly tag: string;
  readonly object: ObjectId;
}

const collections = {
  categories: 'tagging-categories',
  tags: 'tagging-tags',
  associations: 'tagging-associations',
} as const;

/** Categories, tags and what tags are attached to: in memory, and first of all on the store. */
export class TagRecords {
  readonly categories = new Map<string, Category>();
  readonly tags = new Map<string, Tag>();
  /** Tags of each object, and objects of each tag, by identifier. */
  readonly #byObject = new Map<string, Map<string, ObjectId>>();
  readonly #byTag = new Map<string, Map<string, ObjectId>>();
  readonly #persistence: Persistence;

  private constructor(persistence: Persistence) {
    this.#persistence = persistence;
  }

  static async open(persistence: Persistence): Promise<TagRecords> {
    const records = new TagRecords(persistence);
    for (const { value } of await persistence.list<Category>(collections.categories)) {
      records.categories.set(value.id, value);
    }
    for (const { value } of await persistence.list<Tag>(collections.tags)) records.tags.set(value.id, value);
    for (const { value } of await persistence.list<Association>(collections.associations)) {
      if (records.tags.has(value.tag)) records.#attach(value.tag, value.object);
    }
    return records;
  }

  tagsOf(objectId: string): string[] {
    return [...(this.#byObject.get(objectId)?.keys() ?? [])];
  }

  objectsOf(tagId: string): ObjectId[] {
    return [...(this.#byTag.get(tagId)?.values() ?? [])];
  }

  isAttached(tagId: string, objectId: string): boolean {
    return this.#byTag.get(tagId)?.has(objectId) ?? false;
  }

  async putCategory(category: Category): Promise<void> {
    await this.#write([{ put: { collection: collections.categories, key: category.id, value: category } }]);
    this.categories.set(category.id, category);
  }

  async putTag(tag: Tag): Promise<void> {
    await this.#write([{ put: { collection: collections.tags, key: tag.id, value: tag } }]);
    this.tags.set(tag.id, tag);
  }

  /** With its tags, and all that these are attached to. */
  async deleteCategory(id: string): Promise<void> {
    const tags = [...this.tags.values()].filter((tag) => tag.category_id === id).map((tag) => tag.id);
    await this.#write([
      { delete: { collection: collections.categories, key: id } },
      ...tags.flatMap((tag) => this.#tagWrites(tag)),
    ]);
    this.categories.delete(id);
    for (const tag of tags) this.#forgetTag(tag);
  }

  async deleteTag(id: string): Promise<void> {
    await this.#write(this.#tagWrites(id));
    this.#forgetTag(id);
  }

  async attach(pairs: readonly (readonly [tag: string, object: ObjectId])[]): Promise<void> {
    const fresh = pairs.filter(([tag, object]) => !this.isAttached(tag, object.id));
    if (fresh.length === 0) return;
    await this.#write(
      fresh.map(([tag, object]) => ({
        put: { collection: collections.associations, key: keyOf(tag, object.id), value: { tag, object } },
      })),
    );
    for (const [tag, object] of fresh) this.#attach(tag, object);
  }

  async detach(pairs: readonly (readonly [tag: string, objectId: string])[]): Promise<void> {
    const there = pairs.filter(([tag, object]) => this.isAttached(tag, object));
    if (there.length === 0) return;
    await this.#write(
      there.map(([tag, object]) => ({ delete: { collection: collections.associations, key: keyOf(tag, object) } })),
    );
    for (const [tag, object] of there) this.#detach(tag, object);
  }

  #tagWrites(id: string): PersistenceWrite[] {
    return [
      { delete: { collection: collections.tags, key: id } },
      ...this.objectsOf(id).map((object) => ({
        delete: { collection: collections.associations, key: keyOf(id, object.id) },
      })),
    ];
  }

  #forgetTag(id: string): void {
    for (const object of this.objectsOf(id)) this.#detach(id, object.id);
    this.tags.delete(id);
  }

  #attach(tag: string, object: ObjectId): void {
    const put = (map: Map<string, Map<string, ObjectId>>, from: string, to: string) => {
      const found = map.get(from) ?? new Map<string, ObjectId>();
      map.set(from, found);
      found.set(to, object);
    };
    put(this.#byObject, object.id, tag);
    put(this.#byTag, tag, object.id);
  }

  #detach(tag: string, objectId: string): void {
    const take = (map: Map<string, Map<string, ObjectId>>, from: string, to: string) => {
      const found = map.get(from);
      found?.delete(to);
      if (found?.size === 0) map.delete(from);
    };
    take(this.#byObject, objectId, tag);
    take(this.#byTag, tag, objectId);
  }

  #write(writes: readonly PersistenceWrite[]): Promise<void> {
    return this.#persistence.transact(writes);
  }
}

function keyOf(tag: string, objectId: string): string {
  return `${tag} ${objectId}`;
}

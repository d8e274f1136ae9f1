import type { ManagedObject } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import type { CenterView } from '../calls/center-view.ts';
import { AutomationError, invalidArgument, unauthorized } from '../errors.ts';
import { closed, defined, identifier, oneOf } from '../schemas/common.ts';
import type { ObjectId } from '../tagging/tag-records.ts';
import { objectIdOf, type TagService } from '../tagging/tag-service.ts';
import { type OldSpelling, type Operation, operation } from './operation.ts';

const cardinalities = oneOf('SINGLE', 'MULTIPLE');
const name = Type.String({ minLength: 1, maxLength: 256 });
const description = Type.String({ maxLength: 4_096 });
const types = Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 128 });
const objectId = closed({ id: identifier, type: Type.String({ minLength: 1, maxLength: 128 }) });
const strings = Type.Array(Type.String());
const tagIds = Type.Array(identifier, { maxItems: 2_000 });
const objectIds = Type.Array(objectId, { maxItems: 2_000 });
const usedBy = closed({ used_by_entity: identifier });

const categoryInfo = Type.Object({
  id: Type.String(),
  name: Type.String(),
  description: Type.String(),
  cardinality: cardinalities,
  associable_types: strings,
  used_by: strings,
});
const tagInfo = Type.Object({
  id: Type.String(),
  category_id: Type.String(),
  name: Type.String(),
  description: Type.String(),
  used_by: strings,
});
const objectInfo = Type.Object({ id: Type.String(), type: Type.String() });
const batchResult = Type.Object({
  success: Type.Boolean(),
  error_messages: Type.Array(
    Type.Object({ id: Type.String(), default_message: Type.String(), args: Type.Array(Type.String()) }),
  ),
});

const root = '/cis/tagging';
const old = (path: string, spelling: Omit<OldSpelling, 'path'> = {}): OldSpelling => ({
  ...spelling,
  path: `/com/vmware${root}${path}`,
});
const privilege = (word: string) => `InventoryService.Tagging.${word}`;

/** Categories, tags and what they are attached to (com.vmware.cis.tagging). */
export function taggingOperations(tags: TagService): readonly Operation[] {
  return [...categoryOperations(tags), ...tagOperations(tags), ...associationOperations(tags)];
}

function categoryOperations(tags: TagService): Operation[] {
  const category = `${root}/category/{category_id}` as const;
  const oldCategory = '/category/id:{category_id}';
  return [
    operation({
      id: 'cis.tagging.category.list',
      summary: 'Identifiers of all categories.',
      method: 'GET',
      path: `${root}/category`,
      rest: old('/category'),
      answer: strings,
      run: async ({ view }) => (readsTags(view) ? [...(await tags.records()).categories.keys()] : []),
    }),
    operation({
      id: 'cis.tagging.category.get',
      summary: 'One category.',
      method: 'GET',
      path: category,
      rest: old(oldCategory),
      answer: categoryInfo,
      async run({ view, path }) {
        requireReadingTags(view);
        const found = await tags.category(path.category_id);
        return { ...found, associable_types: [...found.associable_types], used_by: [...found.used_by] };
      },
    }),
    operation({
      id: 'cis.tagging.category.create',
      summary: 'Creates a category.',
      method: 'POST',
      path: `${root}/category`,
      rest: old('/category', { wrap: 'create_spec' }),
      created: true,
      body: closed({
        name,
        description: Type.Optional(description),
        cardinality: cardinalities,
        associable_types: Type.Optional(types),
        category_id: Type.Optional(Type.String({ maxLength: 256 })),
      }),
      answer: Type.String(),
      async run({ view, body }) {
        requireOnRoot(view, 'CreateCategory');
        if (body.category_id !== undefined)
          throw new AutomationError('unsupported', 'The server gives the identifier.');
        return tags.createCategory({
          name: body.name,
          description: body.description ?? '',
          cardinality: body.cardinality,
          associable_types: unique(body.associable_types ?? []),
        });
      },
    }),
    operation({
      id: 'cis.tagging.category.update',
      summary: 'Changes a category; it only grows.',
      method: 'PATCH',
      path: category,
      rest: old(oldCategory, { wrap: 'update_spec' }),
      body: closed({
        name: Type.Optional(name),
        description: Type.Optional(description),
        cardinality: Type.Optional(cardinalities),
        associable_types: Type.Optional(types),
      }),
      async run({ view, path, body }) {
        requireOnRoot(view, 'EditCategory');
        const { associable_types: added, ...others } = body;
        await tags.updateCategory(path.category_id, {
          ...defined(others),
          ...(added === undefined || added.length === 0 ? {} : { associable_types: unique(added) }),
        });
      },
    }),
    operation({
      id: 'cis.tagging.category.delete',
      summary: 'Deletes a category with its tags.',
      method: 'DELETE',
      path: category,
      rest: old(oldCategory),
      async run({ view, path }) {
        requireOnRoot(view, 'DeleteCategory');
        await tags.deleteCategory(path.category_id);
      },
    }),
    operation({
      id: 'cis.tagging.category.list-used-categories',
      summary: 'Identifiers of the categories that an entity uses.',
      method: 'POST',
      path: `${root}/category`,
      action: 'list-used-categories',
      rest: old('/category', { action: 'list-used-categories', wrap: null }),
      body: usedBy,
      answer: strings,
      async run({ view, body }) {
        if (!readsTags(view)) return [];
        const all = [...(await tags.records()).categories.values()];
        return all.filter((each) => each.used_by.includes(body.used_by_entity)).map((each) => each.id);
      },
    }),
    ...(['add-to-used-by', 'remove-from-used-by'] as const).map((action) =>
      operation({
        id: `cis.tagging.category.${action}`,
        summary: 'Says whether an entity uses a category.',
        method: 'POST',
        path: category,
        action,
        rest: old(oldCategory, { action, wrap: null }),
        body: usedBy,
        async run({ view, path, body }) {
          requireOnRoot(view, 'ModifyUsedByForCategory');
          await tags.use('category', path.category_id, body.used_by_entity, action === 'add-to-used-by');
        },
      }),
    ),
  ];
}

function tagOperations(tags: TagService): Operation[] {
  const tag = `${root}/tag/{tag_id}` as const;
  const oldTag = '/tag/id:{tag_id}';
  const ofCategory = async (view: CenterView, id: string) => {
    requireReadingTags(view);
    await tags.category(id);
    const all = [...(await tags.records()).tags.values()];
    return all.filter((each) => each.category_id === id).map((each) => each.id);
  };
  return [
    operation({
      id: 'cis.tagging.tag.list',
      summary: 'Identifiers of all tags.',
      method: 'GET',
      path: `${root}/tag`,
      rest: old('/tag'),
      answer: strings,
      run: async ({ view }) => (readsTags(view) ? [...(await tags.records()).tags.keys()] : []),
    }),
    operation({
      id: 'cis.tagging.tag.get',
      summary: 'One tag.',
      method: 'GET',
      path: tag,
      rest: old(oldTag),
      answer: tagInfo,
      async run({ view, path }) {
        requireReadingTags(view);
        const found = await tags.tag(path.tag_id);
        return { ...found, used_by: [...found.used_by] };
      },
    }),
    operation({
      id: 'cis.tagging.tag.create',
      summary: 'Creates a tag in a category.',
      method: 'POST',
      path: `${root}/tag`,
      rest: old('/tag', { wrap: 'create_spec' }),
      created: true,
      body: closed({
        name,
        description: Type.Optional(description),
        category_id: identifier,
        tag_id: Type.Optional(Type.String({ maxLength: 256 })),
      }),
      answer: Type.String(),
      async run({ view, body }) {
        requireOnRoot(view, 'CreateTag');
        if (body.tag_id !== undefined) throw new AutomationError('unsupported', 'The server gives the identifier.');
        const { name: tagName, category_id, description: text = '' } = body;
        return tags.createTag({ name: tagName, category_id, description: text });
      },
    }),
    operation({
      id: 'cis.tagging.tag.update',
      summary: 'Renames a tag, or describes it otherwise.',
      method: 'PATCH',
      path: tag,
      rest: old(oldTag, { wrap: 'update_spec' }),
      body: closed({ name: Type.Optional(name), description: Type.Optional(description) }),
      async run({ view, path, body }) {
        requireOnRoot(view, 'EditTag');
        await tags.updateTag(path.tag_id, defined(body));
      },
    }),
    operation({
      id: 'cis.tagging.tag.delete',
      summary: 'Deletes a tag; objects lose it.',
      method: 'DELETE',
      path: tag,
      rest: old(oldTag),
      async run({ view, path }) {
        requireOnRoot(view, 'DeleteTag');
        await tags.deleteTag(path.tag_id);
      },
    }),
    operation({
      id: 'cis.tagging.tag.list-tags-for-category',
      summary: 'Identifiers of the tags of a category.',
      method: 'POST',
      path: `${root}/tag`,
      action: 'list-tags-for-category',
      body: closed({ category_id: identifier }),
      answer: strings,
      run: ({ view, body }) => ofCategory(view, body.category_id),
    }),
    // `/rest` names the category where a tag would be.
    operation({
      id: 'cis.tagging.tag.list-tags-for-category-by-path',
      summary: 'Identifiers of the tags of a category.',
      method: 'POST',
      path: tag,
      action: 'list-tags-for-category',
      rest: old(oldTag, { action: 'list-tags-for-category', wrap: null }),
      body: Type.Object({}),
      bodyOptional: true,
      answer: strings,
      run: ({ view, path }) => ofCategory(view, path.tag_id),
    }),
    operation({
      id: 'cis.tagging.tag.list-used-tags',
      summary: 'Identifiers of the tags that an entity uses.',
      method: 'POST',
      path: `${root}/tag`,
      action: 'list-used-tags',
      rest: old('/tag', { action: 'list-used-tags', wrap: null }),
      body: usedBy,
      answer: strings,
      async run({ view, body }) {
        if (!readsTags(view)) return [];
        const all = [...(await tags.records()).tags.values()];
        return all.filter((each) => each.used_by.includes(body.used_by_entity)).map((each) => each.id);
      },
    }),
    ...(['add-to-used-by', 'remove-from-used-by'] as const).map((action) =>
      operation({
        id: `cis.tagging.tag.${action}`,
        summary: 'Says whether an entity uses a tag.',
        method: 'POST',
        path: tag,
        action,
        rest: old(oldTag, { action, wrap: null }),
        body: usedBy,
        async run({ view, path, body }) {
          requireOnRoot(view, 'ModifyUsedByForTag');
          await tags.use('tag', path.tag_id, body.used_by_entity, action === 'add-to-used-by');
        },
      }),
    ),
  ];
}

function associationOperations(tags: TagService): Operation[] {
  const all = `${root}/tag-association` as const;
  const one = `${all}/{tag_id}` as const;
  const oldAll = (action: string) => old('/tag-association', { action, wrap: null });
  const oldOne = (action: string) => old('/tag-association/id:{tag_id}', { action, wrap: null });
  const attachedTags = async (view: CenterView, object: ManagedObject) =>
    readsTags(view) ? (await tags.records()).tagsOf(object.ref.value) : [];
  /** What the session may read of what has the tag; what is gone has none. */
  const attachedObjects = async (view: CenterView, tagId: string) =>
    (await tags.records()).objectsOf(tagId).filter(({ id }) => {
      const object = view.registry.byValue(id);
      return object !== undefined && view.reads(object);
    });
  return [
    ...(['attach', 'detach'] as const).map((action) =>
      operation({
        id: `cis.tagging.tag-association.${action}`,
        summary: action === 'attach' ? 'Attaches a tag to an object.' : 'Takes a tag from an object.',
        method: 'POST',
        path: one,
        action,
        rest: oldOne(action),
        body: closed({ object_id: objectId }),
        async run({ view, path, body }) {
          await tags[action](path.tag_id, taggable(view, body.object_id));
        },
      }),
    ),
    operation({
      id: 'cis.tagging.tag-association.list-attached-tags',
      summary: 'Identifiers of the tags of an object.',
      method: 'POST',
      path: all,
      action: 'list-attached-tags',
      rest: oldAll('list-attached-tags'),
      body: closed({ object_id: objectId }),
      answer: strings,
      run: ({ view, body }) => attachedTags(view, readable(view, body.object_id)),
    }),
    operation({
      id: 'cis.tagging.tag-association.list-attached-objects',
      summary: 'Objects that have a tag.',
      method: 'POST',
      path: one,
      action: 'list-attached-objects',
      rest: oldOne('list-attached-objects'),
      body: Type.Object({}),
      bodyOptional: true,
      answer: Type.Array(objectInfo),
      async run({ view, path }) {
        requireReadingTags(view);
        await tags.tag(path.tag_id);
        return attachedObjects(view, path.tag_id);
      },
    }),
    operation({
      id: 'cis.tagging.tag-association.list-attached-tags-on-objects',
      summary: 'Tags of several objects.',
      method: 'POST',
      path: all,
      action: 'list-attached-tags-on-objects',
      rest: oldAll('list-attached-tags-on-objects'),
      body: closed({ object_ids: objectIds }),
      answer: Type.Array(Type.Object({ object_id: objectInfo, tag_ids: strings })),
      run: ({ view, body }) =>
        Promise.all(
          body.object_ids.map(async (id) => {
            const object = readable(view, id);
            return { object_id: objectIdOf(object), tag_ids: await attachedTags(view, object) };
          }),
        ).then((found) => found.filter(({ tag_ids }) => tag_ids.length > 0)),
    }),
    operation({
      id: 'cis.tagging.tag-association.list-attached-objects-on-tags',
      summary: 'Objects of several tags.',
      method: 'POST',
      path: all,
      action: 'list-attached-objects-on-tags',
      rest: oldAll('list-attached-objects-on-tags'),
      body: closed({ tag_ids: tagIds }),
      answer: Type.Array(Type.Object({ tag_id: Type.String(), object_ids: Type.Array(objectInfo) })),
      async run({ view, body }) {
        requireReadingTags(view);
        const found: { tag_id: string; object_ids: ObjectId[] }[] = [];
        for (const id of unique(body.tag_ids)) {
          await tags.tag(id);
          const object_ids = await attachedObjects(view, id);
          if (object_ids.length > 0) found.push({ tag_id: id, object_ids });
        }
        return found;
      },
    }),
    operation({
      id: 'cis.tagging.tag-association.list-attachable-tags',
      summary: 'Identifiers of the tags that an object may have.',
      method: 'POST',
      path: all,
      action: 'list-attachable-tags',
      rest: oldAll('list-attachable-tags'),
      body: closed({ object_id: objectId }),
      answer: strings,
      async run({ view, body }) {
        const object = readable(view, body.object_id);
        if (!readsTags(view)) return [];
        const { schema } = view.registry;
        const records = await tags.records();
        const fitting = new Set<string>();
        for (const { id, associable_types: associable } of records.categories.values()) {
          const names = associable.map((each) => each.replace(/^urn:vim25:/, ''));
          if (names.length === 0 || names.some((each) => schema.isSubtype(object.ref.type, each))) fitting.add(id);
        }
        return [...records.tags.values()].filter(({ category_id }) => fitting.has(category_id)).map(({ id }) => id);
      },
    }),
    ...(['attach', 'detach'] as const).flatMap((verb) => {
      const toObject = verb === 'attach' ? 'attach-multiple-tags-to-object' : 'detach-multiple-tags-from-object';
      const ofTag = verb === 'attach' ? 'attach-tag-to-multiple-objects' : 'detach-tag-from-multiple-objects';
      return [
        operation({
          id: `cis.tagging.tag-association.${toObject}`,
          summary: 'Changes several tags of one object.',
          method: 'POST',
          path: all,
          action: toObject,
          rest: oldAll(toObject),
          body: closed({ object_id: objectId, tag_ids: tagIds }),
          answer: batchResult,
          run({ view, body }) {
            const object = taggable(view, body.object_id);
            return batch(body.tag_ids, (id) => tags[verb](id, object));
          },
        }),
        operation({
          id: `cis.tagging.tag-association.${ofTag}`,
          summary: 'Changes one tag of several objects.',
          method: 'POST',
          path: one,
          action: ofTag,
          rest: oldOne(ofTag),
          body: closed({ object_ids: objectIds }),
          answer: batchResult,
          async run({ view, path, body }) {
            requireReadingTags(view);
            await tags.tag(path.tag_id);
            return batch(body.object_ids, async (id) => tags[verb](path.tag_id, taggable(view, id)));
          },
        }),
      ];
    }),
  ];
}

/** Does each on its own: what one cannot have is told, and hinders no other. */
async function batch<T>(items: readonly T[], work: (item: T) => Promise<void>) {
  const errors: { id: string; default_message: string; args: string[] }[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (!(error instanceof AutomationError)) throw error;
      errors.push({ id: `cis.tagging.${error.error}.error`, default_message: error.message, args: [] });
    }
  }
  return { success: errors.length === 0, error_messages: errors };
}

/** Tags belong to the whole center: whoever reads the root folder reads them. */
function readsTags(view: CenterView): boolean {
  return view.holds(view.rootFolder, 'System.Read');
}

function requireReadingTags(view: CenterView): void {
  if (!readsTags(view)) throw unauthorized('System.Read');
}

function requireOnRoot(view: CenterView, word: string): void {
  requireReadingTags(view);
  if (!view.holds(view.rootFolder, privilege(word))) throw unauthorized(privilege(word));
}

/** An object that is not there is one that may not be read, as vSphere answers it. */
function readable(view: CenterView, { id, type }: ObjectId): ManagedObject {
  const object = view.registry.byValue(id);
  if (object === undefined || !view.reads(object)) throw unauthorized('System.Read');
  const named = type.replace(/^urn:vim25:/, '');
  if (!view.registry.schema.isSubtype(object.ref.type, named)) {
    throw invalidArgument(`${id.slice(0, 200)} is not of type ${named.slice(0, 80)}.`);
  }
  return object;
}

function taggable(view: CenterView, id: ObjectId): ManagedObject {
  const object = readable(view, id);
  view.require(object.ref, privilege('AttachTag'));
  return object;
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}

import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { withAutomation } from '../../connection/automation.ts';
import { requireCenter, type ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { type InventoryObject, objectKindNames, typesOfKind } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { type Category, type Tag, Tags } from '../../tagging/tags.ts';

/** `hypo tag`: words that people put on objects. */
export const defineTag: CommandDefinition = (program, context) => {
  const tag = program
    .command('tag')
    .description('create tags and their categories, attach them to objects')
    .addHelpText(
      'after',
      `
Examples:
  hypo tag category create tier
  hypo tag create gold --category tier
  hypo tag attach gold web1 web2
  hypo tag attached gold`,
    );
  defineCategory(tag, context);
  defineTags(tag, context);
  defineAssociations(tag, context);
};

function onTags<T>(
  command: Command,
  context: CommandContext,
  work: (tags: Tags, session: ServerSession) => Promise<T>,
): Promise<T> {
  return onServer(command, context, (session) => {
    requireCenter(session, 'A host by itself has no tags.');
    return withAutomation(session, (api) => work(new Tags(api), session));
  });
}

function defineCategory(tag: Command, context: CommandContext): void {
  const category = tag
    .command('category')
    .description('create, list and remove categories of tags')
    .addHelpText('after', '\nExamples:\n  hypo tag category create tier\n  hypo tag category ls');
  category
    .command('create')
    .description('create a category')
    .argument('<name>')
    .option('--description <text>', 'what it is for', '')
    .option('--multiple', 'an object may have several of its tags; one unless told')
    .option('--for <kinds>', `what its tags are for, such as machine,host; anything unless told`)
    .addHelpText(
      'after',
      '\nExamples:\n  hypo tag category create tier --description "how important"\n  hypo tag category create owner --multiple --for machine,datastore',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<{ description: string; multiple?: boolean; for?: string }>(command);
      const associable_types = (options.for?.split(',') ?? []).flatMap(typesNamed);
      const id = await onTags(command, context, (tags) =>
        tags.createCategory({
          name,
          description: options.description,
          cardinality: options.multiple ? 'MULTIPLE' : 'SINGLE',
          associable_types,
        }),
      );
      answer(context, command, { id, name }, `${name}: created`);
    });
  category
    .command('ls')
    .description('list categories')
    .addHelpText('after', '\nExample:\n  hypo tag category ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onTags(command, context, (tags) => tags.categories());
      answerRows(context, command, rows, ['NAME', 'OF AN OBJECT', 'FOR', 'DESCRIPTION'], (row) => [
        row.name,
        row.cardinality === 'SINGLE' ? 'one' : 'several',
        row.associable_types.join(', ') || 'anything',
        row.description || '-',
      ]);
    });
  category
    .command('rm')
    .description('remove categories with their tags')
    .argument('<names...>', 'names or ids')
    .option('--force', 'those that have tags, too')
    .addHelpText('after', '\nExample:\n  hypo tag category rm tier --force')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { force } = optionsOf<{ force?: boolean }>(command);
      const removed = await onTags(command, context, async (tags) => {
        const gone: Category[] = [];
        for (const name of names) gone.push(await tags.category(name));
        const used = force ? [] : await tags.tags();
        for (const one of gone) {
          const count = used.filter(({ category_id }) => category_id === one.id).length;
          if (count > 0) {
            throw new CliError('failed', `${one.name} has ${count} tags.`, { next: 'Use --force to remove them too.' });
          }
        }
        for (const one of gone) await tags.deleteCategory(one);
        return gone.map(({ id, name }) => ({ id, name }));
      });
      answer(context, command, removed, removed.map(({ name }) => `${name}: removed`).join('\n'));
    });
}

function typesNamed(kind: string): readonly string[] {
  const types = typesOfKind(kind.trim());
  if (types !== undefined) return types;
  throw new CliError('usage', `'${kind}' is no kind of object.`, { next: `Use ${objectKindNames.join(', ')}.` });
}

function defineTags(tag: Command, context: CommandContext): void {
  tag
    .command('create')
    .description('create a tag')
    .argument('<name>')
    .requiredOption('--category <name>', 'category that it is of')
    .option('--description <text>', 'what it says', '')
    .addHelpText('after', '\nExample:\n  hypo tag create gold --category tier')
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<{ category: string; description: string }>(command);
      const id = await onTags(command, context, async (tags) => {
        const { id: category_id } = await tags.category(options.category);
        return tags.createTag({ name, description: options.description, category_id });
      });
      answer(context, command, { id, name }, `${name}: created`);
    });
  tag
    .command('ls')
    .description('list tags')
    .option('--category <name>', 'those of one category')
    .option('--on <object>', 'those of one object')
    .addHelpText('after', '\nExamples:\n  hypo tag ls\n  hypo tag ls --on web1')
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<{ category?: string; on?: string }>(command);
      const rows = await onTags(command, context, async (tags, session) => {
        const categories = await tags.categories();
        const wanted = options.category === undefined ? undefined : await tags.category(options.category);
        const all =
          options.on === undefined
            ? await tags.tags()
            : await tags.tagsOf(taggable(findAnything(await loadInventory(session), options.on)));
        return all.flatMap(({ category_id, id, name, description }) => {
          if (wanted !== undefined && category_id !== wanted.id) return [];
          return [{ id, name, category: categories.find((one) => one.id === category_id)?.name ?? '', description }];
        });
      });
      answerRows(context, command, rows, ['NAME', 'CATEGORY', 'DESCRIPTION'], (row) => [
        row.name,
        row.category,
        row.description || '-',
      ]);
    });
  tag
    .command('rm')
    .description('remove tags; objects lose them')
    .argument('<tags...>', 'names, category:name, or ids')
    .addHelpText('after', '\nExample:\n  hypo tag rm gold')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const removed = await onTags(command, context, async (tags) => {
        const gone: Tag[] = [];
        for (const name of names) gone.push(await tags.tag(name));
        for (const one of gone) await tags.deleteTag(one);
        return gone.map(({ id, name }) => ({ id, name }));
      });
      answer(context, command, removed, removed.map(({ name }) => `${name}: removed`).join('\n'));
    });
}

function defineAssociations(tag: Command, context: CommandContext): void {
  const verbs = {
    attach: { description: 'put a tag on objects', done: 'has' },
    detach: { description: 'take a tag from objects', done: 'no longer has' },
  } as const;
  for (const [verb, { description, done }] of Object.entries(verbs)) {
    tag
      .command(verb)
      .description(description)
      .argument('<tag>', 'name, category:name, or id')
      .argument('<objects...>', 'names, paths or ids')
      .addHelpText('after', `\nExample:\n  hypo tag ${verb} gold web1 /Datacenter/host/east`)
      .action(async (name: string, objects: string[], _options: unknown, command: Command) => {
        const changed = await onTags(command, context, async (tags, session) => {
          const one = await tags.tag(name);
          const inventory = await loadInventory(session);
          const found = objects.map((object) => findAnything(inventory, object));
          for (const object of found) await tags[verb as keyof typeof verbs](one, taggable(object));
          return found.map((object) => ({ id: object.ref.value, name: object.name, tag: one.name }));
        });
        const lines = changed.map((row) => `${row.name}: ${done} ${row.tag}`);
        answer(context, command, changed, lines.join('\n'));
      });
  }
  tag
    .command('attached')
    .description('list the objects that have a tag')
    .argument('<tag>', 'name, category:name, or id')
    .addHelpText('after', '\nExamples:\n  hypo tag attached gold\n  hypo tag attached tier:gold --json')
    .action(async (name: string, _options: unknown, command: Command) => {
      const rows = await onTags(command, context, async (tags, session) => {
        const objects = await tags.objectsOf(await tags.tag(name));
        const inventory = await loadInventory(session);
        return objects.map(({ id, type }) => {
          const object = inventory.byId(id);
          return { id, type, name: object?.name ?? id, inventoryPath: object?.path };
        });
      });
      answerRows(context, command, rows, ['NAME', 'TYPE', 'PATH'], (row) => [
        row.name,
        row.type,
        row.inventoryPath ?? '-',
      ]);
    });
}

function taggable({ ref }: InventoryObject) {
  return { id: ref.value, type: ref.type as string };
}

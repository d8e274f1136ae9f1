import type { CustomFieldDef, ManagedObjectReference } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { objectKindNames, typesOfKind } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';

/** `hypo field`: values of their own that people give to objects. */
export const defineField: CommandDefinition = (program, context) => {
  const field = program
    .command('field')
    .description('create custom fields, set and list their values')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo field create owner --for machine\n  hypo field set owner "Ann Example" web1 web2\n  hypo field ls web1',
    );
  field
    .command('create')
    .description('create a field')
    .argument('<name>')
    .option('--for <kind>', 'kind of objects that have it, such as machine; all unless told')
    .addHelpText('after', '\nExample:\n  hypo field create owner --for machine')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { for: kind } = optionsOf<{ for?: string }>(command);
      const type = kind === undefined ? undefined : typesOfKind(kind)?.[0];
      if (kind !== undefined && type === undefined) {
        throw new CliError('usage', `'${kind}' is no kind of object.`, { next: `Use ${objectKindNames.join(', ')}.` });
      }
      const { key } = await onServer(command, context, (session) =>
        session.client
          .call(fieldsManager(session), 'AddCustomFieldDef', { name, ...(type === undefined ? {} : { moType: type }) })
          .catch((error: unknown) => {
            throw withName(name, error);
          }),
      );
      answer(context, command, { key, name }, `${name}: created`);
    });
  field
    .command('ls')
    .description('list fields, or the values of one object')
    .argument('[object]', 'name, path or id')
    .addHelpText('after', '\nExamples:\n  hypo field ls\n  hypo field ls web1')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      if (name === undefined) {
        const fields = await onServer(command, context, listFields);
        const rows = fields.map(({ key, name: fieldName, managedObjectType }) => ({
          key,
          name: fieldName,
          for: managedObjectType,
        }));
        answerRows(context, command, rows, ['NAME', 'FOR'], (row) => [row.name, row.for ?? 'anything']);
        return;
      }
      const rows = await onServer(command, context, async (session) => {
        const names = new Map((await listFields(session)).map((one) => [one.key, one.name]));
        const { ref } = findAnything(await loadInventory(session), name);
        const [found] = await session.client.retrieve(ref as ManagedObjectReference<'VirtualMachine'>, ['customValue']);
        return (found?.values.customValue ?? []).map((one) => ({
          key: one.key,
          name: names.get(one.key) ?? String(one.key),
          value: 'value' in one ? String(one.value) : '',
        }));
      });
      answerRows(context, command, rows, ['NAME', 'VALUE'], (row) => [row.name, row.value]);
    });
  field
    .command('set')
    .description('set the value of a field; an empty one takes it away')
    .argument('<name>', 'the field')
    .argument('<value>')
    .argument('<objects...>', 'names, paths or ids')
    .addHelpText('after', '\nExamples:\n  hypo field set owner "Ann Example" web1\n  hypo field set owner "" web1')
    .action(async (name: string, value: string, objects: string[], _options: unknown, command: Command) => {
      const set = await onServer(command, context, async (session) => {
        const { key } = await findField(session, name);
        const inventory = await loadInventory(session);
        const found = objects.map((object) => findAnything(inventory, object));
        for (const { ref: entity, name: objectName } of found) {
          await session.client
            .call(fieldsManager(session), 'SetField', { entity, key, value })
            .catch((error: unknown) => {
              throw withName(objectName, error);
            });
        }
        return found.map(({ ref, name: objectName }) => ({ id: ref.value, name: objectName, value }));
      });
      answer(context, command, set, set.map((one) => `${one.name}: ${name} is '${value}'`).join('\n'));
    });
  field
    .command('rm')
    .description('remove fields with all their values')
    .argument('<names...>')
    .addHelpText('after', '\nExample:\n  hypo field rm owner')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const removed = await onServer(command, context, async (session) => {
        const fields: CustomFieldDef[] = [];
        for (const name of names) fields.push(await findField(session, name));
        for (const { key } of fields) {
          await session.client.call(fieldsManager(session), 'RemoveCustomFieldDef', { key });
        }
        return fields.map(({ key, name }) => ({ key, name }));
      });
      answer(context, command, removed, removed.map(({ name }) => `${name}: removed`).join('\n'));
    });
};

function fieldsManager({ content }: ServerSession): ManagedObjectReference<'CustomFieldsManager'> {
  if (content.customFieldsManager !== undefined) return content.customFieldsManager;
  throw new CliError('failed', 'The server has no custom fields.', { next: "A center has them: 'hypo up' runs one." });
}

async function listFields(session: ServerSession): Promise<CustomFieldDef[]> {
  const [found] = await session.client.retrieve(fieldsManager(session), ['field']);
  return [...(found?.values.field ?? [])].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

async function findField(session: ServerSession, name: string): Promise<CustomFieldDef> {
  const found = (await listFields(session)).find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new CliError('not-found', `There is no field '${name}'.`, { next: "'hypo field ls' lists them." });
}

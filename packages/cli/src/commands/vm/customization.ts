import { readFile } from 'node:fs/promises';
import type { CustomizationSpecItem, ManagedObjectReference } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer } from '../../command-context.ts';
import { customizationSpecs } from '../../inventory/customization-specs.ts';
import { answer, answerRows } from '../../output/answer.ts';

const nameArgument = 'name of the specification';

/** `hypo customization`: what guests are told when their machines are cloned. */
export const defineCustomization: CommandDefinition = (program, context) => {
  const customization = program
    .command('customization')
    .description('keep specifications by which clones are given names and addresses')
    .addHelpText(
      'after',
      `
Examples:
  hypo customization import linux.xml
  hypo vm clone golden web1 --customization linux --on`,
    );
  customization
    .command('ls')
    .description('list the specifications')
    .addHelpText('after', '\nExample:\n  hypo customization ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const [found] = await session.client.retrieve(await customizationSpecs(session), ['info']);
        return (found?.values.info ?? []) as readonly CustomizationSpecItem['info'][];
      });
      answerRows(context, command, rows, ['NAME', 'TYPE', 'UPDATED', 'DESCRIPTION'], (row) => [
        row.name,
        row.type,
        row.lastUpdateTime ?? '',
        row.description,
      ]);
    });
  customization
    .command('export')
    .description('write a specification as XML to the terminal')
    .argument('<name>', nameArgument)
    .addHelpText('after', '\nExample:\n  hypo customization export linux > linux.xml')
    .action(async (name: string, _options: unknown, command: Command) => {
      const xml = await withSpecs(command, context, async (client, specs) => {
        const item = (await client.call(specs, 'GetCustomizationSpec', { name })) as CustomizationSpecItem;
        return (await client.call(specs, 'CustomizationSpecItemToXml', { item })) as string;
      });
      answer(context, command, { name, xml }, xml.trimEnd());
    });
  customization
    .command('import')
    .description('keep a specification that is in an XML file')
    .argument('<file>', 'XML as `hypo customization export` writes it')
    .option('--overwrite', 'in place of one of that name')
    .addHelpText('after', '\nExample:\n  hypo customization import linux.xml --overwrite')
    .action(async (file: string, { overwrite = false }: { readonly overwrite?: boolean }, command: Command) => {
      const specItemXml = await readFile(file, 'utf8');
      const name = await withSpecs(command, context, async (client, specs) => {
        const item = (await client.call(specs, 'XmlToCustomizationSpecItem', { specItemXml })) as CustomizationSpecItem;
        const { changeVersion: _version, ...info } = item.info;
        const known = await client.call(specs, 'DoesCustomizationSpecExist', { name: info.name });
        const method = known && overwrite ? 'OverwriteCustomizationSpec' : 'CreateCustomizationSpec';
        await client.call(specs, method, { item: { ...item, info } as CustomizationSpecItem });
        return info.name;
      });
      answer(context, command, { name }, `${name}: kept`);
    });
  customization
    .command('rm')
    .description('delete a specification')
    .argument('<name>', nameArgument)
    .addHelpText('after', '\nExample:\n  hypo customization rm linux')
    .action(async (name: string, _options: unknown, command: Command) => {
      await withSpecs(command, context, (client, specs) => client.call(specs, 'DeleteCustomizationSpec', { name }));
      answer(context, command, { name }, `${name}: deleted`);
    });
};

type Session = Parameters<Parameters<typeof onServer>[2]>[0];

function withSpecs<R>(
  command: Command,
  context: CommandContext,
  work: (client: Session['client'], specs: ManagedObjectReference<'CustomizationSpecManager'>) => Promise<R>,
): Promise<R> {
  return onServer(command, context, async (session) =>
    work(session.client, await customizationSpecs(session)),
  ) as Promise<R>;
}

import {
  environmentOf,
  formatEnvelope,
  formatEnvironment,
  type OvfPackage,
  resolveProperties,
  saveArchive,
  saveFolder,
  virtualSystems,
  withPropertyDefaults,
  writeIso,
  writeWholeFile,
} from '@hypostyle/ovf';
import { type Command, InvalidArgumentError } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { parseProperty } from '../../deploy/arguments.ts';
import { CliError } from '../../errors.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { openEither, openSeekable } from '../../ovf/open-package.ts';
import { workProgress } from '../../ovf/work-progress.ts';

interface Assignment {
  readonly key: string;
  readonly value: string;
}

/** `hypo ovf property`: what a package can be told, and what a guest is told then. */
export const defineOvfProperty: CommandDefinition = (parent, context) => {
  const property = parent
    .command('property')
    .description('list and set the properties of a package, and show the environment that a guest gets')
    .addHelpText(
      'after',
      `
Examples:
  hypo ovf property ls appliance.ova
  hypo ovf property set appliance.ova other.ova hostname=web port=443
  hypo ovf property environment appliance.ova --property hostname=web`,
    );
  defineList(property, context);
  defineSet(property, context);
  defineEnvironment(property, context);
};

const defineList: CommandDefinition = (parent, context) => {
  parent
    .command('ls')
    .description('list the properties of a package with their values')
    .argument('<package>', "an OVA, a descriptor, its folder, the address of one, or '-'")
    .option('--option <id>', 'values of this deployment option')
    .addHelpText('after', '\nExample:\n  hypo ovf property ls appliance.ova --option large')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { option } = optionsOf<{ readonly option?: string }>(command);
      await using place = await openEither(name, context);
      const { envelope, descriptorName } = 'stream' in place ? place.stream : place.opened;
      const properties = resolveProperties(envelope, [], {
        allowMissing: true,
        fileName: descriptorName,
        ...(option === undefined ? {} : { configuration: option }),
      });
      const rows = properties.map(({ entityId, key, value, password, userConfigurable, missing, property: one }) => ({
        key,
        of: entityId,
        type: one.type,
        qualifiers: one.qualifiers,
        value: password ? undefined : value,
        password,
        userConfigurable,
        needed: missing,
        label: one.label?.text,
        description: one.description?.text,
      }));
      answerRows(context, command, rows, ['KEY', 'OF', 'TYPE', 'VALUE', 'LABEL'], (row) => [
        row.key,
        row.of,
        [row.type, row.qualifiers].filter(Boolean).join(' '),
        row.password ? '(password)' : row.needed ? '(needed)' : (row.value ?? ''),
        `${row.label ?? ''}${row.userConfigurable ? '' : ' (fixed)'}`,
      ]);
    });
};

const defineSet: CommandDefinition = (parent, context) => {
  parent
    .command('set')
    .description('write a package, or a descriptor alone, with other default values')
    .argument('<package>', 'an OVA, a descriptor, or its folder')
    .argument('<target>', 'the OVA, descriptor (.ovf) or folder to write')
    .argument('<key=value...>', 'keys as `hypo ovf property ls` has them', assignment)
    .option('--option <id>', 'set the value of this deployment option only')
    .option('--force', 'replace the target')
    .addHelpText(
      'after',
      `
The values are checked against type and qualifiers. The manifest is made anew; a signature is not kept.

Examples:
  hypo ovf property set appliance.ova configured.ova hostname=web port=443
  hypo ovf property set appliance.ovf configured.ovf hostname=web --option large`,
    )
    .action(
      async (name: string, target: string, values: readonly Assignment[], _options: unknown, command: Command) => {
        const { option, force = false } = optionsOf<{ readonly option?: string; readonly force?: boolean }>(command);
        await using source = await openSeekable(name, context);
        const { opened } = source;
        const envelope = withPropertyDefaults(opened.envelope, values, {
          fileName: opened.descriptorName,
          ...(option === undefined ? {} : { configuration: option }),
        });
        const progress = workProgress(context.terminal, 'Writing');
        const options = { envelope, overwrite: force, signal: context.signal, onProgress: progress.onProgress };
        try {
          if (/\.ovf$/i.test(target)) await write(target, formatEnvelope(envelope), force);
          else if (/\.ova$/i.test(target)) await saveArchive(opened, target, options);
          else await saveFolder(opened, target, options);
        } finally {
          progress.end();
        }
        answer(context, command, { package: target }, `${target}: written`);
      },
    );
};

interface EnvironmentOptions {
  readonly option?: string;
  readonly property: readonly Assignment[];
  readonly system?: string;
  readonly iso?: string;
  readonly force?: boolean;
}

const defineEnvironment: CommandDefinition = (parent, context) => {
  parent
    .command('environment')
    .description('the OVF environment that a guest of the package would get')
    .argument('<package>', "an OVA, a descriptor, its folder, the address of one, or '-'")
    .option('--property <key=value>', 'value of a property; may be repeated', assignment, [])
    .option('--option <id>', 'deployment option')
    .option('--system <id>', 'which machine of the package; the first unless told')
    .option('--iso <file>', 'write it as the image of a CD-ROM, too')
    .option('--force', 'replace the image')
    .addHelpText(
      'after',
      '\nExample:\n  hypo ovf property environment appliance.ova --property hostname=web --iso env.iso',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { option, property, system, iso, force } = optionsOf<EnvironmentOptions>(command);
      await using place = await openEither(name, context);
      const opened: Pick<OvfPackage, 'envelope' | 'descriptorName'> = 'stream' in place ? place.stream : place.opened;
      const { envelope, descriptorName } = opened;
      const resolved = resolveProperties(envelope, property, {
        fileName: descriptorName,
        ...(option === undefined ? {} : { configuration: option }),
      });
      const systems = virtualSystems(envelope).map(({ id }) => id);
      const entityId = system ?? systems[0];
      if (entityId === undefined || !systems.includes(entityId)) {
        throw new CliError('not-found', `The package has no machine '${system}'.`, {
          next: `Use ${systems.join(', ')}.`,
        });
      }
      const text = formatEnvironment(environmentOf(envelope, entityId, resolved));
      if (iso !== undefined) {
        const image = writeIso([{ name: 'ovf-env.xml', content: Buffer.from(text, 'utf8') }]);
        await write(iso, image, force ?? false);
      }
      answer(context, command, { system: entityId, environment: text }, text.trimEnd());
    });
};

async function write(path: string, content: string | Uint8Array, overwrite: boolean): Promise<void> {
  await writeWholeFile(path, { overwrite }, (file) => file.writeFile(content));
}

function assignment(text: string, before: readonly Assignment[] | undefined): readonly Assignment[] {
  const found = parseProperty(text);
  if (found === undefined) throw new InvalidArgumentError('Write it as KEY=VALUE.');
  return [...(before ?? []), found];
}

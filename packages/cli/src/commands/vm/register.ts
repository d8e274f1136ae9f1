import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { parseDatastorePath } from '../../logs/remote-file.ts';
import { print, printJson } from '../../output/terminal.ts';
import { type PlaceOptions, placeOf, placeOptions } from '../inventory/place-options.ts';

/** `hypo register`: a machine's folder that is on a datastore already. */
export const defineRegister: CommandDefinition = (program, context) => {
  const register = program
    .command('register')
    .description('take up a machine whose folder lies on a datastore')
    .argument('<path>', "path of its .vmx, such as '[datastore1] web/web.vmx'")
    .argument('[name]', 'name of the machine; that of the .vmx unless told');
  placeOptions(register)
    .addHelpText(
      'after',
      "\nExamples:\n  hypo register '[datastore1] web/web.vmx'\n  hypo register '[fast] db/db.vmx' db --host esx2 --folder /Datacenter/vm/data",
    )
    .action(async (path: string, name: string | undefined, _options: unknown, command: Command) => {
      if (!/^\[[^\]]+\] ?.+\.vmx$/i.test(path)) {
        throw new CliError('usage', `'${path}' is no path of a .vmx on a datastore.`, {
          next: "Write it as '[datastore1] folder/machine.vmx', in quotes.",
        });
      }
      await onServer(command, context, async (session) => {
        const datastore = parseDatastorePath(path).datastore;
        const options = optionsOf<PlaceOptions>(command);
        const { pool, folder, host } = await machinePlace(session, { ...placeOf(options), datastore });
        const machine = await runTask(session, context, name ?? path, () =>
          session.client.call(folder, 'RegisterVM_Task', {
            path,
            ...(name === undefined ? {} : { name }),
            asTemplate: false,
            pool,
            host,
          }),
        );
        const id = (machine as { value?: string } | undefined)?.value;
        if (optionsOf(command).json) printJson(context.terminal, { id });
        else print(context.terminal, `${name ?? path}: registered`);
      });
    });
};

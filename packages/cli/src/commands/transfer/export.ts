import type { DigestAlgorithm } from '@hypostyle/ovf';
import { type Command, Option } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { exportPackage, exportTarget } from '../../export/export.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { withName } from '../../inventory/run-task.ts';
import { findSnapshot, readSnapshots } from '../../inventory/snapshots.ts';
import { answer } from '../../output/answer.ts';
import { parseDigest, type SigningArguments, signerOf, signingOptions } from '../../ovf/signing-options.ts';

interface Options extends SigningArguments {
  readonly snapshot?: string;
  readonly digest: DigestAlgorithm | false;
  readonly force?: boolean;
  readonly include?: readonly string[];
}

/** `hypo export`: an OVA or a folder of a machine or vApp. */
export const defineExport: CommandDefinition = (program, context) => {
  const command = program
    .command('export')
    .description('write a machine, one of its snapshots, or a vApp as an OVA or a folder')
    .argument('<object>', 'name, path or id of a machine or vApp')
    .argument('<target>', 'file.ova, or the folder to make')
    .option('--snapshot <name>', 'as this snapshot of the machine has its disks: its name, path or id')
    .option('--digest <algorithm>', 'digests of the manifest: sha1, sha256, sha512 or none', parseDigest, 'SHA256')
    .addOption(
      new Option('--include <part...>', 'what else the descriptor tells').choices(['mac', 'uuid', 'extraconfig']),
    )
    .option('--force', 'replace the file');
  signingOptions(command)
    .addHelpText(
      'after',
      `
A machine is exported while it is off, a vApp while all of its machines are; a snapshot of a machine that runs, too.
The target appears when it is whole. Beside it there is to be room for the disks twice while they are packed.

Examples:
  hypo export web web.ova
  hypo export web web.ova --snapshot before-upgrade
  hypo export web web.ova --include mac uuid
  hypo export shop shop/ --digest sha512
  hypo export web web.ova --force --key key.pem --certificate chain.pem`,
    )
    .action(async (name: string, to: string, _options: unknown, self: Command) => {
      const options = optionsOf<Options>(self);
      const { snapshot, digest, include, force: overwrite = false } = options;
      const signer = await signerOf(context, options);
      if (signer !== undefined && digest === false) {
        throw new CliError('usage', 'A signature is over the manifest.', { next: 'Leave out --digest none.' });
      }
      const target = await exportTarget(to, overwrite);
      const done = await onServer(self, context, async (session) => {
        const object = (await loadInventory(session)).find(['VirtualMachine', 'VirtualApp'], name);
        const { ref } = object;
        if (snapshot !== undefined && ref.type === 'VirtualApp') {
          throw new CliError('usage', `${object.name} is a vApp.`, { next: 'Snapshots are of machines.' });
        }
        const chosen =
          snapshot === undefined
            ? {}
            : {
                snapshot: findSnapshot(
                  await readSnapshots(session, { type: 'VirtualMachine', value: ref.value }),
                  snapshot,
                ).tree.snapshot,
              };
        const signing = signer === undefined ? {} : { signer };
        const written = await exportPackage(session, context, object, target, {
          ...chosen,
          ...signing,
          ...(include === undefined ? {} : { include }),
          digest,
          overwrite,
        }).catch((error: unknown) => {
          throw withName(object.name, error);
        });
        return { id: ref.value, name: object.name, package: to, ...written };
      });
      answer(context, self, done, `${done.name}: exported to ${to}`);
    });
};

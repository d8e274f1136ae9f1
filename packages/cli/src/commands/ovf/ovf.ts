import type { CommandDefinition } from '../../command-context.ts';
import { defineOvfInspect } from './ovf-inspect.ts';
import { defineOvfPack } from './ovf-pack.ts';
import { defineOvfProperty } from './ovf-property.ts';
import { defineOvfSign } from './ovf-sign.ts';
import { defineOvfUnpack } from './ovf-unpack.ts';
import { defineOvfValidate } from './ovf-validate.ts';
import { defineOvfVerify } from './ovf-verify.ts';

/** `hypo ovf`: packages as files, with no server. */
export const defineOvf: CommandDefinition = (program, context) => {
  const ovf = program
    .command('ovf')
    .description('look into OVF packages, check, make, sign and verify them; no server is needed')
    .addHelpText(
      'after',
      `
Examples:
  hypo ovf inspect appliance.ova
  hypo ovf verify appliance.ova --trust vendor.pem
  hypo ovf pack appliance.ovf appliance.ova --key key.pem --certificate chain.pem
  curl -s https://example.org/appliance.ova | hypo ovf unpack - appliance`,
    );
  const commands = [
    defineOvfInspect,
    defineOvfValidate,
    defineOvfVerify,
    defineOvfPack,
    defineOvfUnpack,
    defineOvfSign,
    defineOvfProperty,
  ];
  for (const define of commands) define(ovf, context);
};

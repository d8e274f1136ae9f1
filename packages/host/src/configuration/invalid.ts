import { fault, type VimFault } from '@hypostyle/vim';

/** A member of the spec that cannot be what the client says. */
export function invalid(property: string, reason: string): VimFault {
  return fault(
    'InvalidArgument',
    { invalidProperty: `configSpec.${property}` },
    `A specified parameter was not correct: configSpec.${property}: ${reason}.`,
  );
}

import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../../fixtures/descriptors/', import.meta.url);

/** File names of all descriptors. */
export const descriptorNames: readonly string[] = readdirSync(folder);

export function readDescriptor(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

/** What a descriptor is: valid, valid only leniently, or not at all; `readable` is lenient or better. */
export type Verdict = 'valid' | 'lenient' | 'invalid' | 'readable' | 'strictly invalid';

interface Exception {
  readonly verdict: Verdict;
  readonly reason: string;
}

const undecidable = 'differs from a valid one in no more than the name of a file or a prefix';

/** Verdicts that a name does not tell, or tells of a disk that is not here. The first word that a name begins or ends with. */
const exceptions: readonly (readonly [RegExp, Exception])[] = [
  [/__Neg__invalid_createType_disk/, { verdict: 'valid', reason: `${undecidable}: the fault is in the disk` }],
  [
    /^OVF.*HttpLocators__Neg__valid_no_disk/,
    { verdict: 'valid', reason: `${undecidable}: the server has no such file` },
  ],
  [/Envelope__Neg__identity_compression/, { verdict: 'valid', reason: `${undecidable}` }],
  [/__Neg__not_in_order_disks/, { verdict: 'strictly invalid', reason: 'a made appliance has disks in another order' }],
  [/__Neg__invalid_ref_size_neg/, { verdict: 'strictly invalid', reason: 'a real export says size 0 too (yVM)' }],
  [
    /__Neg__invalid_ref_size_null/,
    { verdict: 'strictly invalid', reason: 'a disk that nothing uses is no fault of use' },
  ],
  [/ovftoolresources__(bare_minimal|empty_system)/, { verdict: 'invalid', reason: 'the suite has it under Neg' }],
  [/valid_vmdk_neg_size/, { verdict: 'invalid', reason: 'the size of a file is negative' }],
  [/^invalid_ovf__/, { verdict: 'invalid', reason: 'the file is empty' }],
  [/^jeos_corrupted/, { verdict: 'invalid', reason: 'it is no XML' }],
  [/^invalid-property-key/, { verdict: 'invalid', reason: 'a key with a period, and sections without Info' }],
  [/^security-test-content__/, { verdict: 'invalid', reason: 'populatedSize exceeds the capacity by far' }],
  [/^ovf_negative_test__ovf_with_wrong_size/, { verdict: 'strictly invalid', reason: 'the file of a disk has size 0' }],
  [/^nvdimm_incorrect_controller/, { verdict: 'invalid', reason: 'an NVDIMM on an IDE controller' }],
  [/^missing_nvdimm_controller/, { verdict: 'invalid', reason: 'an NVDIMM on a controller that is not there' }],
  [/^vbs__.*-illegal/, { verdict: 'invalid', reason: 'the NVRAM names a file that is not in References' }],
  [/missing-element-name/, { verdict: 'strictly invalid', reason: 'items without ElementName' }],
  [/^unsupported-resourcetype/, { verdict: 'strictly invalid', reason: 'ResourceType 35 is not assigned' }],
];

/** The verdict that a descriptor's name carries, with a reason where it is one of the exceptions. */
export function verdictOf(name: string): { readonly verdict: Verdict; readonly reason?: string } {
  const exception = exceptions.find(([pattern]) => pattern.test(name));
  if (exception !== undefined) return exception[1];
  if (name.includes('__Neg__')) return { verdict: 'invalid' };
  if (name.includes('LaxMode__Pos__')) return { verdict: 'lenient' };
  return { verdict: name.includes('__Pos__') ? 'valid' : 'readable' };
}

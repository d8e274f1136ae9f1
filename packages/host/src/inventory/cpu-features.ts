import { data, type HostCpuIdInfo } from '@hypostyle/vim';

/** Names that Linux has for the bits of a CPUID register in /proc/cpuinfo, bit 0 first; '' has no name there. */
const extendedEdx = names(`
  fpu vme de pse tsc msr pae mce  cx8 apic . syscall mtrr pge mca cmov
  pat pse36 . . nx . mmxext mmx  fxsr fxsr_opt pdpe1gb rdtscp . lm 3dnowext 3dnow`);
const extendedEcx = names(`
  lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse  3dnowprefetch osvw ibs xop skinit wdt . lwp
  fma4 tce . nodeid_msr . tbm topoext perfctr_core  perfctr_nb . bpext ptsc perfctr_llc mwaitx . .`);
const basicEdx = names(`
  fpu vme de pse tsc msr pae mce  cx8 apic . sep mtrr pge mca cmov
  pat pse36 pn clflush . dts acpi mmx  fxsr sse sse2 ss ht tm ia64 pbe`);
const basicEcx = names(`
  pni pclmulqdq dtes64 monitor ds_cpl vmx smx est  tm2 ssse3 cid sdbg fma cx16 xtpr pdcm
  . pcid dca sse4_1 sse4_2 x2apic movbe popcnt  tsc_deadline_timer aes xsave . avx f16c rdrand hypervisor`);

const unknown = Array.from({ length: 32 }, () => '');

/**
 * What the CPUID instruction says, as far as the flags of /proc/cpuinfo tell it: leaf 1 and leaf 0x80000001. A bit is
 * `1`, `0`, or `-` where the flags do not say. libvirt finds in it whether guests may have 64 bits, and needs it.
 */
export function cpuFeatures(flags: ReadonlySet<string>): HostCpuIdInfo[] {
  const leaf = (level: number, ecx: readonly string[], edx: readonly string[]) =>
    data('HostCpuIdInfo', {
      level,
      eax: register(unknown, flags),
      ebx: register(unknown, flags),
      ecx: register(ecx, flags),
      edx: register(edx, flags),
    });
  // The level is a signed number of 32 bits: this is 0x80000001.
  return [leaf(1, basicEcx, basicEdx), leaf(0x8000_0001 | 0, extendedEcx, extendedEdx)];
}

function names(text: string): string[] {
  return text
    .trim()
    .split(/\s+/)
    .map((name) => (name === '.' ? '' : name));
}

/** Bit 31 first, in eight groups of four. */
function register(bits: readonly string[], flags: ReadonlySet<string>): string {
  const digits = bits.map((name) => (name === '' ? '-' : flags.has(name) ? '1' : '0')).reverse();
  return Array.from({ length: 8 }, (_, group) => digits.slice(group * 4, group * 4 + 4).join('')).join(':');
}

import type { Schema } from '@hypostyle/vim';

const normal = (name: string): string => name.toLowerCase().replace('guest', '').replace(/[-_]/g, '');

/** Translates between a `.vmx`'s `guestOS` (`debian11-64`) and the model's identifier (`debian11_64Guest`). */
export class GuestOsNames {
  readonly #byNormal = new Map<string, string>();

  constructor(schema: Schema) {
    const type = schema.type('VirtualMachineGuestOsIdentifier');
    if (type?.kind === 'enum') for (const value of type.values) this.#byNormal.set(normal(value), value);
  }

  /** The identifier; a name that nobody knows stays as it is. */
  identifier(guestOS: string): string {
    return this.#byNormal.get(normal(guestOS)) ?? guestOS;
  }

  /** Every identifier, in the order of the model. */
  all(): string[] {
    return [...this.#byNormal.values()];
  }

  known(identifier: string): boolean {
    return this.#byNormal.get(normal(identifier)) === identifier;
  }

  /** What a `.vmx` says for an identifier. */
  vmxName(identifier: string): string {
    if (!this.known(identifier)) return identifier;
    return identifier
      .replace('Guest', '')
      .replace('_', '-')
      .replace(/(?<=[a-z])64$/i, '-64')
      .toLowerCase();
  }

  /** Shown to people: `debian11_64Guest` is `Debian GNU/Linux 11 (64-bit)`. */
  fullName(identifier: string): string {
    const families: readonly [RegExp, string][] = [
      [/^debian(\d*)/, 'Debian GNU/Linux'],
      [/^ubuntu/, 'Ubuntu Linux'],
      [/^rhel(\d*)/, 'Red Hat Enterprise Linux'],
      [/^centos(\d*)/, 'CentOS'],
      [/^almalinux/, 'AlmaLinux'],
      [/^rockylinux/, 'Rocky Linux'],
      [/^fedora/, 'Fedora Linux'],
      [/^sles(\d*)/, 'SUSE Linux Enterprise'],
      [/^opensuse/, 'SUSE openSUSE'],
      [/^oracleLinux(\d*)/, 'Oracle Linux'],
      [/^vmwarePhoton/, 'VMware Photon OS'],
      [/^freebsd(\d*)/, 'FreeBSD'],
      [/^other(\d*x?)Linux|^otherLinux/, 'Other Linux'],
      [/^windows(\d+)srv/, 'Microsoft Windows Server'],
      [/^windows(\d+)/, 'Microsoft Windows'],
      [/^win/, 'Microsoft Windows'],
      [/^darwin(\d*)/, 'Apple macOS'],
      [/^other/, 'Other'],
    ];
    const bits = /64/.test(identifier) ? '64-bit' : '32-bit';
    for (const [pattern, name] of families) {
      const match = pattern.exec(identifier);
      if (match !== null) return `${name}${match[1] ? ` ${match[1]}` : ''} (${bits})`;
    }
    return identifier;
  }
}

/** A set of privileges with a name. */
export interface Role {
  readonly id: number;
  readonly name: string;
  readonly privileges: readonly string[];
}

export const adminRole = -1;

/** The roles that every installation has, by their well-known ids. */
export function systemRoles(allPrivileges: readonly string[]): Role[] {
  return [
    { id: -5, name: 'NoAccess', privileges: [] },
    { id: -4, name: 'Anonymous', privileges: ['System.Anonymous'] },
    { id: -3, name: 'View', privileges: ['System.Anonymous', 'System.View'] },
    { id: -2, name: 'ReadOnly', privileges: ['System.Anonymous', 'System.Read', 'System.View'] },
    { id: adminRole, name: 'Admin', privileges: allPrivileges },
  ];
}

export function isSystemRole(id: number): boolean {
  return id < 0;
}

/**
 * Privileges of the methods for which the schema names none. A method that is in neither is denied.
 *
 * Those that need privileges on their arguments too (a pool, a datastore, a network) check these where they run.
 */
export const methodPrivileges: Readonly<Record<string, string>> = {};

/** Needs no session at all. */
export const anonymousPrivilege = 'System.Anonymous';

/** Tells whether a user or group is there, and who is in which group. */
export interface PrincipalDirectory {
  exists(principal: string, group: boolean): Promise<boolean>;
  groupsOf(userName: string): Promise<readonly string[]>;
}

/** What an engine holds back of a machine that runs, under the capability `resourceLimits`. */
export interface ResourceLimits {
  /**
   * Asks the guest to leave what it has over this to the host; undefined gives it all of its memory back. A guest
   * without a driver for it leaves nothing, and one that would fail for want of memory takes it back. Made again, the
   * call changes nothing.
   */
  limitMemory(memoryMiB: number | undefined): Promise<void>;
}

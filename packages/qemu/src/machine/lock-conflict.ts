/** Exit code of `flock` when another process holds the lock. */
export const lockConflictCode = 75;

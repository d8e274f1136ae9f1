import { DatabaseError } from 'pg';
import { StoreError, type StoreErrorCode } from '../errors.ts';

/** The connection ended before the answer came: what was asked may have been done or not. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The SQLSTATE of an error that the server sent. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

/** Whether the session ends with this error (PostgreSQL documentation, "Error and Notice Message Fields"). */
export function endsSession(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC';
}

/** The error of an attempt to connect, or of a statement, as the store's own. */
export function asStoreError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  return new StoreError(codeOf(error), path, messageOf(error));
}

function codeOf(error: unknown): StoreErrorCode {
  const state = sqlState(error);
  if (state === undefined) return error instanceof Error && isNetwork(error) ? 'unreachable' : 'failed';
  // XX001 data_corrupted, XX002 index_corrupted
  if (state === 'XX001' || state === 'XX002') return 'corrupt';
  // Class 08: connection exceptions; 53300 too_many_connections; 57P01 to 57P03: stopping, crashed, starting.
  return state.startsWith('08') || ['53300', '57P01', '57P02', '57P03'].includes(state) ? 'unreachable' : 'failed';
}

const networkCodes = /^(E(CONN|HOST|NET|PIPE|TIMEDOUT|AI_AGAIN|ADDRNOTAVAIL)|ENOENT|ENOTFOUND|EAI_AGAIN)/;

function isNetwork(error: Error): boolean {
  if (error instanceof ConnectionLost) return true;
  // A name with several addresses is tried at each of them.
  if (error instanceof AggregateError) return error.errors.some((each) => each instanceof Error && isNetwork(each));
  if ('code' in error && typeof error.code === 'string') return networkCodes.test(error.code);
  return /^(timeout expired|Connection terminated)/.test(error.message);
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { HttpClient } from './http-client.ts';
import { SmallCenter } from './small-center.ts';

/** A center behind a server of its own, for all tests of a file, and a session in it. Its defects fail the file. */
export async function servedCenter(
  userName = 'root',
): Promise<{ readonly center: SmallCenter; readonly http: HttpClient; readonly token: string }> {
  const center = new SmallCenter();
  const http = await HttpClient.open(center.face);
  after(async () => {
    await http[Symbol.asyncDispose]();
    assert.deepEqual(center.defects, []);
    await center.close();
  });
  return { center, http, token: await center.token(userName) };
}

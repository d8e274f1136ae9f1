import { type FileRequest, type FileResponse, plainResponse, signInFirst, splitUrl } from '@hypostyle/services';
import { asFault, type Session } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { ScreenshotWork } from './screenshots.ts';

/** Most pixels of a side. */
const maxSide = 8_192;
const statuses: Readonly<Record<string, number>> = { InvalidPowerState: 409, InvalidState: 409, InvalidArgument: 400 };

/**
 * `/screen?id=<machine>&w=<pixels>&h=<pixels>`: what the screen shows now, as PNG; the size may be left out, in part or
 * whole. It takes the privilege that CreateScreenshot_Task takes; `checked`: a center looked at that.
 */
export async function screenResponse(
  core: HostCore,
  screenshots: ScreenshotWork,
  request: FileRequest,
  session: Session | 'checked' | undefined,
): Promise<FileResponse> {
  if (request.method !== 'GET') return plainResponse(405, 'Use GET.', { allow: 'GET' });
  if (session === undefined) return signInFirst();
  const query = splitUrl(request.url)?.query ?? new URLSearchParams();
  const machine = core.machines.find(query.get('id') ?? '');
  if (machine === undefined) return plainResponse(404, 'There is no such machine.');
  if (
    session !== 'checked' &&
    !core.authorizer.holds(session, machine.ref, 'VirtualMachine.Interact.CreateScreenshot')
  ) {
    return plainResponse(403, 'You may not see the screen of that machine.');
  }
  const [width, height] = [side(query.get('w')), side(query.get('h'))];
  if (width === null || height === null) return plainResponse(400, `w and h are pixels, 1 to ${maxSide}.`);
  try {
    const body = await screenshots.png(machine, {
      ...(width === undefined ? {} : { width }),
      ...(height === undefined ? {} : { height }),
    });
    return {
      status: 200,
      headers: { 'content-type': 'image/png', 'content-length': `${body.length}`, 'cache-control': 'no-store' },
      body,
    };
  } catch (error) {
    const { type, message } = asFault(error);
    return plainResponse(statuses[type] ?? 500, message);
  }
}

/** Null where it is no number of pixels. */
function side(text: string | null): number | undefined | null {
  if (text === null || text === '') return undefined;
  const pixels = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return pixels >= 1 && pixels <= maxSide ? pixels : null;
}

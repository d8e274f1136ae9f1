import type { TransferLeases } from '../leases/transfer-leases.ts';
import { announcedLength, type FileRequest, type FileResponse, plainResponse, splitUrl } from './http-exchange.ts';
import { faultResponse } from './http-faults.ts';

/**
 * The face of leases, `/nfc/<id>/<file>`: PUT or POST uploads, GET downloads. The id is the right; no session is
 * needed. Never rejects.
 */
export async function handleTransferRequest(request: FileRequest, leases: TransferLeases): Promise<FileResponse> {
  const [, id, fileName] = splitUrl(request.url)?.path.match(/^\/nfc\/([0-9a-f]{32})\/([^/]+)$/) ?? [];
  const lease = id === undefined || fileName === undefined ? undefined : leases.target(id, fileName);
  if (lease === undefined || fileName === undefined) return plainResponse(404, 'There is no such transfer.');
  const target = lease.targets.find((candidate) => candidate.fileName === fileName);
  const allowed = [
    ...(target?.provide === undefined ? [] : ['GET', 'HEAD']),
    ...(target?.receive === undefined ? [] : ['PUT', 'POST']),
  ];
  if (!allowed.includes(request.method)) {
    return plainResponse(405, `Use ${allowed.join(' or ')}.`, { allow: allowed.join(', ') });
  }
  try {
    if (request.method === 'PUT' || request.method === 'POST') {
      const { body, signal } = request;
      await lease.receive(fileName, body, { contentLength: announcedLength(request), signal });
      return { status: request.method === 'PUT' ? 201 : 200, headers: { 'content-length': '0' } };
    }
    const headers = {
      'content-type': target?.disk ? 'application/x-vnd.vmware-streamVmdk' : 'application/octet-stream',
      ...(target?.fileSize === undefined ? {} : { 'content-length': String(target.fileSize) }),
    };
    if (request.method === 'HEAD') return { status: 200, headers };
    return { status: 200, headers, body: lease.provide(fileName, request.signal) };
  } catch (error) {
    return faultResponse(error);
  }
}

// Files in pieces as tus 1.0 has it: an upload is begun, asked for where it stands, and given its next piece.
// Each answers {offset, id}: the bytes that are there, and the file's id once it is whole.

const VERSION = "1.0.0";

// A refusal that trying again does not change; its text is for people.
export class Refused extends Error {}
// What may pass, with the server's word on it if it has one.
export class Unready extends Error {}

export class Uploads {
  constructor(address, csrf, signal) {
    Object.assign(this, { address, csrf, signal });
  }

  // Where it stands; null where there is none any more.
  async find(address) {
    const response = await this.#ask("HEAD", address);
    return response.status === 404 ? null : { address, ...(await standing(response)) };
  }

  async begin(length, metadata) {
    const pairs = Object.entries(metadata).map(([name, text]) => `${name} ${base64(text)}`);
    const headers = { "Upload-Length": String(length), "Upload-Metadata": pairs.join() };
    const response = await this.#ask("POST", this.address, headers);
    const place = await standing(response);
    return { ...place, address: new URL(response.headers.get("Location"), location.href).pathname };
  }

  async append({ address, offset }, bytes) {
    const type = "application/offset+octet-stream";
    const headers = { "Upload-Offset": String(offset), "Content-Type": type };
    return standing(await this.#ask("PATCH", address, headers, bytes));
  }

  #ask(method, address, headers = {}, body = null) {
    const ours = { "Tus-Resumable": VERSION, "X-CSRFToken": this.csrf, ...headers };
    return fetch(address, { method, headers: ours, body, signal: this.signal });
  }
}

async function standing(response) {
  const misplaced = response.status === 409 && response.headers.has("Upload-Offset");
  if (!response.ok && !misplaced) {
    const text = await reason(response);
    const mayPass = response.status >= 500 || [408, 409, 429].includes(response.status);
    if (mayPass) throw new Unready(text);
    throw new Refused(text || `${response.status} ${response.statusText}`);
  }
  const { headers } = response;
  return { offset: Number(headers.get("Upload-Offset")), id: headers.get("X-DeployX-File") };
}

// What the server says of it; nothing where the answer is a proxy's.
async function reason(response) {
  const answer = await response.json().catch(() => ({}));
  return Object.values(answer).flat().join(" ");
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The lathe's program memory as an OPC UA file system (OPC 10000-20), its methods bound by hand.
 *
 * The memory outlives the server; nodes and handles do not. A handle belongs to the session that opened it. A file that
 * is open, or that the lathe runs, can be neither moved nor deleted.
 */

import { createHash } from "node:crypto";

import { DataType, StatusCodes, VariantArrayType } from "node-opcua";

import { Refusal } from "./faults.mjs";

const ROOT = "FileSystem";
const READ = 1;
const WRITE = 2;
const ERASE = 4;
const APPEND = 8;

/** What the lathe keeps, over restarts of its server: bytes by path, and folders. */
export class Disk {
  constructor() {
    this.files = new Map();
    this.folders = new Set();
  }

  /** Name, size and SHA-256 of every file. */
  listing() {
    return [...this.files]
      .map(([name, bytes]) => ({ name, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function parentOf(path) {
  return path.split("/").slice(0, -1).join("/");
}

function nameOf(path) {
  return path.split("/").at(-1);
}

export class FileSystem {
  #nodes = new Map();
  #handles = new Map();
  #newest = 0;

  /** @param {boolean} movable whether there is MoveOrCopy */
  constructor(model, machine, movable) {
    this.model = model;
    this.movable = movable;
    this.lathe = machine.lathe;
    this.disk = machine.disk;
    this.faults = machine.faults;
    this.#bindFolder(model.node(ROOT), "");
    for (const path of [...this.disk.folders].sort()) this.#addNode(path);
    for (const path of this.disk.files.keys()) this.#addNode(path);
  }

  /** How many handles clients hold. */
  get openHandles() {
    return this.#handles.size;
  }

  /** Close what a session left open. */
  sessionEnded(session) {
    for (const [number, handle] of this.#handles) if (handle.session === session) this.#close(number);
  }

  /** Put a file there, as at the machine's panel; a folder on the way is made. */
  put(path, bytes) {
    const folder = parentOf(path);
    if (folder !== "" && !this.disk.folders.has(folder)) {
      this.disk.folders.add(folder);
      this.#addNode(folder);
    }
    this.disk.files.set(path, bytes);
    if (this.#nodes.has(path)) this.#refresh(path);
    else this.#addNode(path);
  }

  /** Remove all files and folders, whoever has them open. */
  erase() {
    this.#handles.clear();
    for (const path of [...this.#nodes.keys()].reverse()) if (path !== "") this.#removeNode(path);
    this.disk.files.clear();
    this.disk.folders.clear();
  }

  #bindFolder(node, path) {
    this.#nodes.set(path, node);
    const bind = (name, work) => this.faults.bind(node, name, work);
    bind("CreateDirectory", ([name]) => {
      const child = this.#free(path, name);
      this.disk.folders.add(child);
      return [[DataType.NodeId, this.#addNode(child).nodeId]];
    });
    bind("CreateFile", ([name, opened], session) => {
      const child = this.#free(path, name);
      this.disk.files.set(child, Buffer.alloc(0));
      const file = this.#addNode(child);
      return [
        [DataType.NodeId, file.nodeId],
        [DataType.UInt32, opened ? this.#newHandle(child, READ | WRITE, session) : 0],
      ];
    });
    bind("Delete", ([target]) => {
      const file = this.#unlocked(path, target);
      this.disk.files.delete(file);
      this.#removeNode(file);
      return [];
    });
    if (!this.movable) {
      this.model.addressSpace.deleteNode(node.getMethodByName("MoveOrCopy"));
      return;
    }
    bind("MoveOrCopy", ([target, to, copied, name]) => {
      const file = this.#unlocked(path, target);
      const folder = this.#pathOf(to);
      if (folder === undefined || this.disk.files.has(folder)) throw new Refusal(StatusCodes.BadNotFound);
      const child = this.#free(folder, name || nameOf(file));
      this.disk.files.set(child, Buffer.from(this.disk.files.get(file)));
      if (!copied) {
        this.disk.files.delete(file);
        this.#removeNode(file);
      }
      return [[DataType.NodeId, this.#addNode(child).nodeId]];
    });
  }

  #bindFile(node, path) {
    this.#nodes.set(path, node);
    this.#refresh(path);
    const bind = (name, work) => this.faults.bind(node, name, work);
    bind("Open", ([mode], session) => {
      const open = [...this.#handles.values()].filter((handle) => handle.path === path);
      if (mode & WRITE && open.length > 0) throw new Refusal(StatusCodes.BadNotWritable);
      if (open.some((handle) => handle.mode & WRITE)) throw new Refusal(StatusCodes.BadNotReadable);
      if ((mode & (READ | WRITE)) === 0) throw new Refusal(StatusCodes.BadInvalidArgument);
      if (mode & ERASE) this.disk.files.set(path, Buffer.alloc(0));
      return [[DataType.UInt32, this.#newHandle(path, mode, session)]];
    });
    bind("Close", ([number], session) => {
      this.#handle(path, number, session, READ | WRITE);
      this.#close(number);
      return [];
    });
    bind("Read", ([number, length], session) => {
      const handle = this.#handle(path, number, session, READ);
      if (length <= 0) throw new Refusal(StatusCodes.BadInvalidArgument);
      const bytes = Buffer.from(this.disk.files.get(path).subarray(handle.position, handle.position + length));
      handle.position += bytes.length;
      if (this.faults.corrupt && bytes.length > 0) bytes[bytes.length - 1] ^= 1;
      return [[DataType.ByteString, bytes]];
    });
    bind("Write", ([number, bytes], session) => {
      this.#write(this.#handle(path, number, session, WRITE), bytes ?? Buffer.alloc(0));
      return [];
    });
    bind("GetPosition", ([number], session) => {
      return [[DataType.UInt64, [0, this.#handle(path, number, session, READ | WRITE).position]]];
    });
    bind("SetPosition", ([number, [, position]], session) => {
      const handle = this.#handle(path, number, session, READ | WRITE);
      handle.position = Math.min(position, this.disk.files.get(path).length);
      return [];
    });
  }

  #addNode(path) {
    const isFile = this.disk.files.has(path);
    const node = this.model.addressSpace.findObjectType(isFile ? "FileType" : "FileDirectoryType").instantiate({
      browseName: { name: nameOf(path), namespaceIndex: this.model.own.index },
      namespace: this.model.own,
      organizedBy: this.#nodes.get(parentOf(path)),
    });
    if (isFile) this.#bindFile(node, path);
    else this.#bindFolder(node, path);
    return node;
  }

  #removeNode(path) {
    this.model.addressSpace.deleteNode(this.#nodes.get(path));
    this.#nodes.delete(path);
  }

  #refresh(path) {
    const node = this.#nodes.get(path);
    const opened = [...this.#handles.values()].filter((handle) => handle.path === path).length;
    const set = (name, dataType, value) =>
      node.getChildByName(name).setValueFromSource({ dataType, arrayType: VariantArrayType.Scalar, value });
    set("Size", DataType.UInt64, [0, this.disk.files.get(path).length]);
    set("OpenCount", DataType.UInt16, opened);
    set("Writable", DataType.Boolean, true);
    set("UserWritable", DataType.Boolean, true);
  }

  #pathOf(nodeId) {
    return [...this.#nodes].find(([, node]) => node.nodeId.toString() === nodeId.toString())?.[0];
  }

  #free(folder, name) {
    if (!name || name.includes("/")) throw new Refusal(StatusCodes.BadInvalidArgument);
    const path = folder === "" ? name : `${folder}/${name}`;
    if (this.#nodes.has(path)) throw new Refusal(StatusCodes.BadBrowseNameDuplicated);
    return path;
  }

  #unlocked(folder, target) {
    const path = this.#pathOf(target);
    if (path === undefined || parentOf(path) !== folder || !this.disk.files.has(path)) {
      throw new Refusal(StatusCodes.BadNotFound);
    }
    if (this.lathe.isRunning(path) || [...this.#handles.values()].some((handle) => handle.path === path)) {
      throw new Refusal(StatusCodes.BadInvalidState);
    }
    return path;
  }

  #newHandle(path, mode, session) {
    this.#newest += 1;
    const position = mode & APPEND ? this.disk.files.get(path).length : 0;
    this.#handles.set(this.#newest, { path, mode, session, position, room: null });
    this.#refresh(path);
    return this.#newest;
  }

  #handle(path, number, session, mode) {
    const handle = this.#handles.get(number);
    if (handle?.path !== path || handle.session !== session) throw new Refusal(StatusCodes.BadInvalidArgument);
    if ((handle.mode & mode) === 0) throw new Refusal(StatusCodes.BadInvalidState);
    return handle;
  }

  #close(number) {
    const { path } = this.#handles.get(number);
    this.#handles.delete(number);
    if (this.#nodes.has(path)) this.#refresh(path);
  }

  #write(handle, bytes) {
    const old = this.disk.files.get(handle.path);
    const end = handle.position + bytes.length;
    const size = Math.max(old.length, end);
    // Room for twice as much, so that a long program is not copied once per call.
    if (handle.room === null || size > handle.room.length) {
      handle.room = Buffer.alloc(2 * size);
      old.copy(handle.room);
    }
    bytes.copy(handle.room, handle.position);
    this.disk.files.set(handle.path, handle.room.subarray(0, size));
    handle.position = end;
    this.faults.written(bytes.length);
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** What goes wrong in the lathe's methods on request, and what was called: tests look at both. */

import { setTimeout as sleep } from "node:timers/promises";

import { DataType, StatusCodes, VariantArrayType } from "node-opcua";

/** ReturnStatus of a job method that succeeded: bit 0 of OPC 10031-4, Annex B.2. */
export const NO_ERROR = 1;

/** A method answers with this status. */
export class Refusal extends Error {
  constructor(statusCode) {
    super(statusCode.name);
    this.statusCode = statusCode;
  }
}

export class Faults {
  /** @param {() => void} cutWire resets the connections */
  constructor(cutWire) {
    this.cutWire = cutWire;
    this.clear();
  }

  /** Let everything work, and forget the calls. */
  clear() {
    /** Status name, or ReturnStatus of a job method, by method. */
    this.refused = {};
    /** Milliseconds by method. */
    this.delays = {};
    /** Whether files read back differ from what was written. */
    this.corrupt = false;
    /** After how many further written bytes the wire is cut; null is never. */
    this.cutAfter = null;
    /** How often each method was called. */
    this.calls = {};
  }

  /** Let a method fail with a status, or work again where `status` is empty. Throws RangeError. */
  refuse(method, status = "") {
    if (status === "") delete this.refused[method];
    else if (/^\d+$/.test(status) || status in StatusCodes) this.refused[method] = status;
    else throw new RangeError("no such status");
  }

  /** Count bytes that were written; cut the wire where that was asked for. */
  written(count) {
    if (this.cutAfter === null) return;
    this.cutAfter -= count;
    if (this.cutAfter <= 0) {
      this.cutAfter = null;
      this.cutWire();
    }
  }

  /**
   * Bind a method of `object`: `work` gets the arguments' values and the session, and returns pairs of type and
   * value or throws a Refusal.
   */
  bind(object, name, work) {
    object.getMethodByName(name).bindMethod(async (inputs, context) => {
      this.calls[name] = (this.calls[name] ?? 0) + 1;
      if (this.delays[name]) await sleep(this.delays[name]);
      const refused = this.refused[name];
      try {
        if (refused !== undefined && !/^\d+$/.test(refused)) throw new Refusal(StatusCodes[refused]);
        const outputs =
          refused === undefined
            ? work(
                inputs.map((one) => one.value),
                context.session,
              )
            : [returnStatus(Number(refused))];
        return {
          statusCode: StatusCodes.Good,
          outputArguments: outputs.map(([dataType, value]) => ({
            dataType,
            arrayType: VariantArrayType.Scalar,
            value,
          })),
        };
      } catch (error) {
        if (error instanceof Refusal) return { statusCode: error.statusCode };
        throw error;
      }
    });
  }
}

/** Return the output argument of a job method. */
export function returnStatus(bits) {
  return [DataType.UInt64, [0, bits]];
}

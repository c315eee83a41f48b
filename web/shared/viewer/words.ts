// SPDX-License-Identifier: GPL-3.0-or-later
/** What the keys around a picture say; each page brings its own words. */

/** How the picture is moved, by the way it is drawn. */
export interface Howto {
  solid: string;
  flat: string;
}

export interface ViewerWords {
  colouring: string;
  feed: string;
  time: string;
  none: string;
  drawing: string;
  solid: string;
  flat: string;
  closer: string;
  further: string;
  home: string;
  play: string;
  pause: string;
  moment: string;
  follow: string;
  /** Why the picture is flat. */
  missing: string;
  slow: string;
  lost: string;
  partial: string;
  clock: (seconds: number) => string;
  feeds: (feed: number) => string;
}

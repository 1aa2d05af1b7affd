/** The longer side of a frame, in pixels. The bot makes a larger one smaller. */
const LONGEST = 1280;

/** The person's camera. It is on only while they want it, and sends nothing by itself. */
export class Camera {
  private stream: MediaStream | undefined;
  private video: HTMLVideoElement | undefined;
  private times = 0;

  /** What it sees, to be shown to the person; undefined while it is off. */
  get seen(): MediaStream | undefined {
    return this.stream;
  }

  /**
   * Switch it on. Fails where there is none, or the person does not allow it.
   *
   * @param onLost It was unplugged, or is not allowed any more.
   * @returns Whether it is on: it may have been switched off while the person was asked.
   */
  async open(onLost: () => void): Promise<boolean> {
    this.close();
    const time = this.times;
    // Of a phone's cameras, the one that looks where the person looks.
    const wanted = { video: { facingMode: "environment", width: { ideal: LONGEST } } };
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    if (time !== this.times) {
      stop(stream);
      return false;
    }
    this.stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", onLost);
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.srcObject = stream;
    try {
      await this.video.play();
    } catch (error) {
      if (time === this.times) throw error;
    }
    return time === this.times;
  }

  /** Switch it off. */
  close(): void {
    this.times += 1;
    if (this.stream) stop(this.stream);
    this.stream = undefined;
    this.video = undefined;
  }

  /** The newest frame, as JPEG; null while it is off. */
  async frame(): Promise<Blob | null> {
    const video = this.video;
    if (!video?.videoWidth) return null;
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  }
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

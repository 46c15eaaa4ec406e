namespace Megaphone.Web;

/// <summary>What of a WebSocket's input is being read, and what the last call has delivered.</summary>
[Flags]
internal enum WebReading : byte
{
    /// <summary>A frame's header is next, and it begins a message.</summary>
    None = 0,

    /// <summary>A message has begun.</summary>
    Message = 1 << 0,

    /// <summary>The payload of a data frame is next.</summary>
    Payload = 1 << 1,

    /// <summary>With <see cref="Payload"/>: the frame ends its message.</summary>
    Final = 1 << 2,

    /// <summary>The message in the buffer has been delivered.</summary>
    MessageDelivered = 1 << 3,

    /// <summary>The control frame at the end of the buffer has been delivered.</summary>
    ControlDelivered = 1 << 4,

    /// <summary>Nothing more is accepted.</summary>
    Over = 1 << 5,
}

namespace Megaphone.Ecm;

/// <summary>How far a connection of a listener for the web is.</summary>
internal enum WebPhase : byte
{
    /// <summary>There is none in this slot.</summary>
    None,

    /// <summary>The head of its first request is awaited.</summary>
    Head,

    /// <summary>It is a WebSocket.</summary>
    WebSocket,

    /// <summary>A WebSocket whose end has been sent, and which has ended in order or is about to: its input is dropped.</summary>
    Closing,

    /// <summary>It was refused, before or after it was a WebSocket: its input is dropped.</summary>
    Refused,

    /// <summary>It is an end of a relay.</summary>
    Relay,
}

using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>A record that arrives as it was sealed, behind others of which the same is true.</summary>
/// <param name="Type">The type of what was sealed.</param>
/// <param name="Content">What was sealed.</param>
/// <param name="Start">Where it begins in the stream.</param>
/// <param name="End">Where the next one begins.</param>
internal sealed record SealedRecord(TlsContentType Type, byte[] Content, int Start, int End)
{
    private const byte KeyUpdate = 24;

    public bool HasData => Type == TlsContentType.ApplicationData && Content.Length > 0;

    /// <summary>Whether it is <c>close_notify</c>.</summary>
    public bool IsEnd => Type == TlsContentType.Alert && Content is [1, (byte)TlsAlert.CloseNotify];

    private bool IsKeyUpdate => Type == TlsContentType.Handshake && Content is [KeyUpdate, 0, 0, 1, 0 or 1];

    /// <summary>Whether every peer has to accept it, unless there are too many in a row.</summary>
    public bool IsAllowed(bool isTls13) =>
        (Type == TlsContentType.ApplicationData && Content.Length <= SecurityParameters.MaxContentBytes) || IsEnd || (isTls13 && IsKeyUpdate);
}

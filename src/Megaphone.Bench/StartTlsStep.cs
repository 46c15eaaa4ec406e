namespace Megaphone.Bench;

/// <summary>How far a client has come with STARTTLS, named after what it waits for.</summary>
internal enum StartTlsStep : byte
{
    /// <summary>The connection is established, and nothing has been sent.</summary>
    Connection,

    /// <summary>The server's stream header.</summary>
    Header,

    /// <summary>The features.</summary>
    Features,

    /// <summary>The permission to begin the handshake.</summary>
    Proceed,

    /// <summary>Nothing: the handshake is what comes next.</summary>
    Done,
}

namespace Megaphone.Xmpp;

/// <summary>What <see cref="StreamSplitter.Next"/> found.</summary>
internal enum SplitStep
{
    /// <summary>A piece of the stream is complete.</summary>
    Piece,

    /// <summary>All input was consumed, and more is needed for the next piece.</summary>
    Incomplete,

    /// <summary>The stream is refused, and stays so.</summary>
    Refused,
}

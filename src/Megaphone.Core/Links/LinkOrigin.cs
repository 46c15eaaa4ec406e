namespace Megaphone.Links;

/// <summary>How a link's connection came about, which decides who says what first.</summary>
internal enum LinkOrigin
{
    /// <summary>Accepted here: the other side's first packet says whether the link has control.</summary>
    Accepted,

    /// <summary>Connected from here: <c>hello</c> is said, and <c>welcome</c> or <c>refuse</c> must be the answer.</summary>
    Connected,

    /// <summary>Connected from here for the plain protocol: the link is up at once, without control.</summary>
    ConnectedPlain,
}

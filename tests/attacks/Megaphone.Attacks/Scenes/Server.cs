namespace Megaphone.Attacks;

/// <summary>What the link of an ECM goes to.</summary>
internal enum Server
{
    /// <summary>Debian's ejabberd with the module.</summary>
    Module,

    /// <summary>A hub with Debian's ejabberd behind it.</summary>
    Hub,

    /// <summary>A hub whose backend is <c>echo:</c>, for attacks that would first of all be on the server behind it.</summary>
    Echo,
}

using System.Runtime.InteropServices;

namespace Megaphone.Hub;

/// <summary>Which backend a session is, or is being, connected to, and which have been tried for it. Plain data, kept with each connection.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct BackendAttempts
{
    /// <summary>A bit for each address in <see cref="BackendAddresses"/> that has been tried.</summary>
    public ulong Tried;

    /// <summary>The address, counted from 1; 0: none.</summary>
    public byte Current;
}

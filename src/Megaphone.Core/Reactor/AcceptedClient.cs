using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>Gets a descriptor that was accepted, and owns it.</summary>
/// <param name="descriptor">The client's socket.</param>
/// <param name="peer">The client's address.</param>
/// <param name="listener">Which listener took it: how many were bound before that one.</param>
internal delegate void AcceptedClient(int descriptor, in NativeAddress peer, int listener);

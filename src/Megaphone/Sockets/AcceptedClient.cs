namespace Megaphone.Sockets;

/// <summary>Gets a descriptor that was accepted, and owns it.</summary>
internal delegate void AcceptedClient(int descriptor, in NativeAddress peer);

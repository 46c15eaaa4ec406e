Console.Error.WriteLine("megaphone: the service is not put together yet");
return 1;

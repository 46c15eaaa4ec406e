return await Megaphone.Service.Entry.RunAsync(args);
